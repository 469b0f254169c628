import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { useTemporaryDirectory } from '#support/temporary.ts';

const folder = useTemporaryDirectory();
const script = join(import.meta.dirname, '../../scripts/config.ts');

/** Runs the command in a folder of its own, with nothing but these variables. */
function run(args: readonly string[], env: Record<string, string> = {}, file = '') {
  writeFileSync(join(folder, '.env'), file);
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  const lineOf = (name: string) =>
    stdout
      .split('\n')
      .find((line) => line.trim().startsWith(`${name} `))
      ?.replace(/\s+/g, ' ')
      .trim();
  return { status, stdout, stderr, lineOf };
}

describe('check', () => {
  test('every setting, its value or default, where it came from, and what it waits for', () => {
    const { status, stdout, lineOf } = run(
      ['check'],
      { BACKEND_PORT: '9100', SECRET_KEY: 'hunter22hunter22' },
      'LOG_LEVEL=DEBUG\nSTRIPE_SECRET_KEY=sk_test_hunter22\nAPP_DOMIAN=x\nARCHESTRA_API_KEY=hunter22\n',
    );
    expect(status).toBe(0);
    expect(lineOf('API_PORT')).toBe('API_PORT 9100 (process environment, as BACKEND_PORT)');
    expect(lineOf('LOG_LEVEL')).toBe('LOG_LEVEL DEBUG (.env)');
    expect(lineOf('CONSOLE_PORT')).toBe('CONSOLE_PORT 3000 (default)');
    expect(lineOf('SMTP_HOST')).toBe('SMTP_HOST not set: no mail is sent');
    expect(lineOf('SECRET_KEY')).toBe('SECRET_KEY [secret] (process environment)');
    expect(lineOf('STRIPE_SECRET_KEY')).toBe('STRIPE_SECRET_KEY [secret] (.env) understood, not active yet: billing');
    expect(stdout).toContain('  - warning: SECRET_KEY is shorter than 32 characters: it is stretched');
    expect(stdout).toContain('  - warning: APP_DOMIAN of .env is no setting of Plinth; is APP_DOMAIN meant?\n');
    expect(stdout).toContain('  - ARCHESTRA_API_KEY belongs to clients');
    expect(stdout).not.toContain('hunter22');
    expect(stdout.endsWith('\nThese settings are valid.\n')).toBe(true);
  });

  test('all faults at once, beside everything else, and exit 1', () => {
    const { status, stdout, lineOf } = run(
      ['check'],
      { API_PORT: 'http' },
      'SECRETS_MANAGER=Vault\nCOOKIE_SECURE=maybe',
    );
    expect(status).toBe(1);
    expect(lineOf('METRICS_PORT')).toBe('METRICS_PORT 9050 (default)');
    expect(stdout.slice(stdout.indexOf('These settings')).trim().split('\n')).toEqual([
      'These settings are not valid:',
      '  - API_PORT is "http"; wanted is a port from 1 to 65535 (0: any free one)',
      '  - COOKIE_SECURE is "maybe"; wanted is true or false',
      '  - SECRETS_MANAGER asks for Vault, but HASHICORP_VAULT_ADDR and HASHICORP_VAULT_TOKEN are not set; set them, or SECRETS_FALLBACK=DB to keep secrets in PostgreSQL',
    ]);
  });

  test('another file than .env', () => {
    const other = join(folder, 'other.env');
    writeFileSync(other, 'API_PORT=9500\n');
    expect(run(['check', '--file', other], {}, 'API_PORT=9400').lineOf('API_PORT')).toBe('API_PORT 9500 (.env)');
    // Node looks for a file of this option by itself, and says so before we can.
    const missing = run(['check', '--file', join(folder, 'none.env')]);
    expect([missing.status === 0, missing.stderr.includes('none.env')]).toEqual([false, true]);
  });
});

describe('explain', () => {
  test('one setting by any of its names, in any case, with what it is now', () => {
    const { status, stdout } = run(['explain', 'archestra_logging_level'], {}, 'LOG_LEVEL=WARNING');
    expect(status).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'LOG_LEVEL',
      '  How much is logged: trace, debug, info, warn, error, fatal, silent; WARNING and CRITICAL are warn and fatal. Any case.',
      '',
      '  subject  Paths, ports and log',
      '  aliases  LOGGING_LEVEL, ARCHESTRA_LOGGING_LEVEL',
      '  default  info',
      '  state    takes effect',
      '  now      WARNING  (.env)',
      '',
    ]);
  });

  test('a secret is told without its value, and what it waits for', () => {
    const { stdout } = run(['explain', 'ARCHESTRA_CHAT_MISTRAL_API_KEY'], { CHAT_MISTRAL_API_KEY: 'hunter22' });
    expect(stdout).toContain('CHAT_MISTRAL_API_KEY\n');
    expect(stdout).toContain('state    understood, not active yet: LLM proxy');
    expect(stdout).toContain('now      [secret]  (process environment)');
    expect(stdout).not.toContain('hunter22');
  });

  test('names of clients, and names that are none', () => {
    expect(run(['explain', 'ARCHESTRA_API_KEY'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('belongs to clients'),
    });
    expect(run(['explain', 'APP_DOMIAN'])).toMatchObject({
      status: 1,
      stderr: 'There is no setting APP_DOMIAN; is APP_DOMAIN meant?\n',
    });
    expect(run(['explain', 'SOMETHING'])).toMatchObject({ status: 1, stderr: 'There is no setting SOMETHING\n' });
  });
});

test.each([[[]], [['explain']], [['check', 'more']], [['tell']]])('%j shows how it is used', (args) => {
  expect(run(args)).toMatchObject({ status: 1, stderr: expect.stringContaining('usage: npm run config') });
});
