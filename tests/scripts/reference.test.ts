import { expect, test } from 'vitest';
import { examineSettings } from '#base/config.ts';
import { envExample } from '#scripts/reference/env-example.ts';
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
  expect(page).toContain(
    '| <a id="API_PORT"></a>`API_PORT` | `BACKEND_PORT` | `9000` | Port of the API and of Git over HTTP. |',
  );
  expect(page).toMatch(/`AUTH_ADMIN_PASSWORD` \|[^\n]* Never printed\. \|/);
  expect(page).toContain('| `ARCHESTRA_AUTH_SECRET` | [`SECRET_KEY`](#SECRET_KEY) |');
  expect(page).toMatch(/`STRIPE_SECRET_KEY` \|[^\n]* \*Waits for: billing\.\* \|/);
});

test('every line of .env.example is a comment, and without its # it is what counts anyway', () => {
  const lines = envExample().split('\n');
  expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  const uncommented = lines.filter((line) => /^#[A-Z]/.test(line)).map((line) => line.slice(1));
  expect(uncommented.length).toBeGreaterThan(120);
  const { config, report, faults } = examineSettings({ env: {}, envFile: uncommented.join('\n') });
  expect([faults, report.unknown]).toEqual([[], []]);
  // Their defaults are for a host that is named.
  expect(report.notices.map(({ text }) => text.split(' without ')[0])).toEqual([
    'POSTGRES_USER, POSTGRES_DB, POSTGRES_PORT',
  ]);
  // With APP_DOMAIN given, environment.yaml is told where projects are served.
  const { manifestSettings, ...rest } = config!;
  expect(manifestSettings.domain).toBe('apps.localhost');
  expect({ ...rest, manifestSettings: undefined }).toEqual({
    ...examineSettings({ env: {} }).config,
    manifestSettings: undefined,
  });
});

test('a table has as many columns in its rule as in its head', () => {
  expect(table(['a', 'b'], [['1', '2\n3']])).toBe('| a | b |\n| --- | --- |\n| 1 | 2<br>3 |');
});
