import { expect, test } from 'vitest';
import { errorsPage } from '#scripts/reference/errors-page.ts';
import { table } from '#scripts/reference/markdown.ts';
import { settingsPage } from '#scripts/reference/settings-page.ts';

test('the page of errors has a row for each, and placeholders in angle brackets survive', () => {
  const page = errorsPage({
    ODD: { status: 409, retry: true, text: 'Send <token> | {name}.' },
    GONE: { status: 404, retry: false, text: 'There is no {name}.' },
  });
  expect(page.split('\n').filter((line) => line.startsWith('| `'))).toEqual([
    '| `ODD` | 409 | may succeed later | Send &lt;token&gt; \\| {name}. |',
    '| `GONE` | 404 | final | There is no {name}. |',
  ]);
});

test('the page of settings names aliases and defaults, and says what is never printed', () => {
  const page = settingsPage();
  expect(page).toContain('| `API_PORT` | `BACKEND_PORT` | 9000 | Port of the API and of Git over HTTP. |');
  expect(page).toMatch(/\| `AUTH_ADMIN_PASSWORD` \|[^\n]* Never printed\. \|/);
});

test('a table has as many columns in its rule as in its head', () => {
  expect(table(['a', 'b'], [['1', '2\n3']])).toBe('| a | b |\n| --- | --- |\n| 1 | 2<br>3 |');
});
