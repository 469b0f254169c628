import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseEnvFile } from '#base/config/env-file.ts';
import { examineSettings, loadSettings, readEnvFile, sentencesOf } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { faultsOf, goodKey, noticesOf } from './faults-of.ts';

const folder = useTemporaryDirectory();

const reportOf = (env: Record<string, string>, envFile?: string) => {
  const { report } = loadSettings({ env, envFile });
  return (name: string) => report.settings.find((setting) => setting.name === name);
};

describe('the process environment beats .env', () => {
  test('for the same name, and says where each value came from', () => {
    const { config, report } = loadSettings({
      env: { API_PORT: '9100' },
      envFile: 'API_PORT=9200\nMETRICS_PORT=9300\n',
    });
    expect([config.apiPort, config.metricsPort, config.consolePort]).toEqual([9100, 9300, 3000]);
    const origins = Object.fromEntries(report.settings.map(({ name, origin }) => [name, origin]));
    expect([origins.API_PORT, origins.METRICS_PORT, origins.CONSOLE_PORT]).toEqual([
      'process environment',
      '.env',
      'default',
    ]);
    expect(report.notices).toEqual([
      { level: 'info', text: 'API_PORT of the process environment counts, not API_PORT of .env.' },
    ]);
  });

  test('also under another of its names: that is no contradiction', () => {
    const { config, report } = loadSettings({ env: { AUTH_SECRET: goodKey }, envFile: `SECRET_KEY=${goodKey}2` });
    expect(config.secretKey?.reveal()).toBe(goodKey);
    expect(report.notices).toEqual([
      { level: 'info', text: 'AUTH_SECRET of the process environment counts, not SECRET_KEY of .env.' },
    ]);
  });

  test('a wrong value in .env that does not count is no fault; empty text in the process environment is none', () => {
    expect(loadSettings({ env: { API_PORT: '9100' }, envFile: 'API_PORT=http' }).config.apiPort).toBe(9100);
    expect(loadSettings({ env: { API_PORT: '' }, envFile: 'API_PORT=9200' }).config.apiPort).toBe(9200);
  });

  test('NODE_ENV of .env makes production, unless the process environment says otherwise', () => {
    const known = 'NODE_ENV=production\nAUTH_ADMIN_PASSWORD=password';
    expect(faultsOf({}, known)).toHaveLength(1);
    expect(loadSettings({ env: { NODE_ENV: 'test' }, envFile: known }).config.production).toBe(false);
  });
});

describe('a value set twice with two meanings', () => {
  test('in .env under two names', () => {
    expect(faultsOf({}, 'SMTP_PORT=25\nAPI_PORT=9100\nBACKEND_PORT=9200')).toEqual([
      'API_PORT and BACKEND_PORT are the same setting with different values; keep one of them',
    ]);
    expect(loadSettings({ env: {}, envFile: 'API_PORT=9100\nBACKEND_PORT=9100' }).config.apiPort).toBe(9100);
  });

  test('in .env under one name, with the lines', () => {
    expect(faultsOf({}, 'SECRET_KEY=one\n# again\n\nSECRET_KEY=two\n')).toEqual([
      'SECRET_KEY is set in lines 1 and 4 of .env with different values; keep one of them',
    ]);
    expect(noticesOf({}, 'API_PORT=9100\nAPI_PORT=9100\nOTHER=1\nOTHER=2')).toEqual([]);
    expect(noticesOf({}, 'API_PORT=\nAPI_PORT=9100')).toEqual([]);
  });
});

describe('unknown names', () => {
  const unknownOf = (env: Record<string, string>, envFile?: string) =>
    sentencesOf(loadSettings({ env, envFile }).report).map(({ level, text }) => `${level}: ${text}`);

  test('each of .env is reported with its neighbour, and the start goes on', () => {
    expect(
      unknownOf({}, 'APP_DOMIAN=x\nARCHESTRA_APP_DOMAIN=x\nlog_level=info\nSOMETHING_ELSE=1\nPLINTH_API_PORT=1'),
    ).toEqual([
      'warning: APP_DOMIAN of .env is no setting of Plinth; is APP_DOMAIN meant?',
      'warning: ARCHESTRA_APP_DOMAIN of .env is no setting of Plinth; is APP_DOMAIN meant?',
      'warning: log_level of .env is no setting of Plinth; is LOG_LEVEL meant?',
      'warning: SOMETHING_ELSE of .env is no setting of Plinth.',
      'warning: PLINTH_API_PORT of .env is no setting of Plinth; is API_PORT meant?',
    ]);
  });

  test('a name that every object has is unknown like any other', () => {
    expect(unknownOf({ toString: 'x' }, 'constructor=1\n__proto__=2')).toEqual([
      'warning: constructor of .env is no setting of Plinth.',
      'warning: __proto__ of .env is no setting of Plinth.',
    ]);
  });

  test('of the process environment only one within two edits of a known name', () => {
    const slips = { SECRETKEY: 'x', ARCHESTRA_FRONTEND_UR: 'x', K8S_PVC_SISE: 'x', ARCHESTRA_AUTH_SECRTE: 'x' };
    expect(unknownOf({ ...slips, SOMETHING_ELSE: '1', ARCHESTRA_APP_DOMAIN: 'x' })).toEqual([
      'warning: SECRETKEY of the process environment is no setting of Plinth; is SECRET_KEY meant?',
      'warning: ARCHESTRA_FRONTEND_UR of the process environment is no setting of Plinth; is ARCHESTRA_FRONTEND_URL meant?',
      'warning: K8S_PVC_SISE of the process environment is no setting of Plinth; is K8S_PVC_SIZE meant?',
      'warning: ARCHESTRA_AUTH_SECRTE of the process environment is no setting of Plinth; is ARCHESTRA_AUTH_SECRET meant?',
    ]);
  });

  test('what machines, shells, npm and Kubernetes set is left in peace', () => {
    const usual = [
      ...[
        'HOME',
        'PATH',
        'PWD',
        'OLDPWD',
        'USER',
        'LOGNAME',
        'SHELL',
        'SHLVL',
        'TERM',
        'LANG',
        'LC_ALL',
        'TZ',
        'EDITOR',
      ],
      ...['TMPDIR', 'MAIL', 'COLOR', 'NODE', 'INIT_CWD', 'CI', 'DEBUG', 'PORT', 'HOSTTYPE', 'OSTYPE', 'DISPLAY', '_'],
      ...['npm_config_cache', 'npm_lifecycle_event', 'NODE_OPTIONS', 'NODE_PATH', 'NODE_IP', 'XDG_RUNTIME_DIR'],
      ...[
        'KUBERNETES_SERVICE_HOST',
        'KUBERNETES_PORT',
        'KUBERNETES_PORT_443_TCP',
        'AWS_REGION',
        'AWS_SECRET_ACCESS_KEY',
      ],
      ...['HTTP_PROXY', 'NO_PROXY', 'SSL_CERT_FILE', 'GITHUB_TOKEN', 'GOOGLE_APPLICATION_CREDENTIALS', 'DOCKER_HOST'],
      ...[
        'PGHOST',
        'PGPASSWORD',
        'VAULT_ADDR',
        'VAULT_TOKEN',
        'OTEL_SERVICE_NAME',
        'SSH_AUTH_SOCK',
        'POSTGRES_INITDB_ARGS',
      ],
    ];
    expect(unknownOf(Object.fromEntries(usual.map((name) => [name, 'x'])))).toEqual([
      'info: NODE_IP is one that a deployment makes for itself, to refer to it as $(NODE_IP) in other values; Kubernetes fills it in.',
    ]);
  });
});

describe('.env', () => {
  test('is read as Docker Compose reads it', () => {
    const { values, unreadable, unfilled, doubled } = parseEnvFile(
      [
        '\uFEFF# comment',
        'PLAIN=value # comment',
        'HASH=pa#ss',
        'EMPTY=   # comment',
        'export EXPORTED = spaced out  ',
        'DOUBLE="a # b\\nc" # comment',
        `SINGLE='\${LEFT} "alone"'`,
        'KEY="-----BEGIN KEY-----',
        'NOT=a name',
        '-----END KEY-----"',
        'AFTER=1\r',
        `FILLED=x\${OTHER}y`,
        'this is nothing',
        'YAML: value',
        "APOSTROPHE=it's",
        'OPEN="never closed',
        'LAST=9',
      ].join('\n'),
    );
    expect(Object.fromEntries(values)).toEqual({
      PLAIN: 'value',
      HASH: 'pa#ss',
      EMPTY: '',
      EXPORTED: 'spaced out',
      DOUBLE: 'a # b\nc',
      SINGLE: `\${LEFT} "alone"`,
      KEY: '-----BEGIN KEY-----\nNOT=a name\n-----END KEY-----',
      AFTER: '1',
      FILLED: `x\${OTHER}y`,
      APOSTROPHE: "it's",
      OPEN: '"never closed',
      LAST: '9',
    });
    expect({ unreadable, unfilled, doubled }).toEqual({ unreadable: [13, 14], unfilled: ['FILLED'], doubled: [] });
  });

  test('lines that say nothing are told by number, values that nothing fills in by name', () => {
    expect(
      noticesOf({}, `API_PORT=9100\nSECRET_KEY: hunter22\nFRONTEND_URL=http://\${HOST_NAME}.example.com`).slice(0, 2),
    ).toEqual([
      { level: 'warning', text: 'Line 2 of .env cannot be read as NAME=value and does not count.' },
      {
        level: 'warning',
        text: `FRONTEND_URL of .env holds \${…}, which is not filled in here; write the value itself.`,
      },
    ]);
  });

  test('of a folder; without one there is none', () => {
    const inner = join(folder, 'with');
    mkdirSync(inner);
    writeFileSync(join(inner, '.env'), 'API_PORT=9400\n');
    expect(readEnvFile(inner)).toBe('API_PORT=9400\n');
    expect(readEnvFile(folder)).toBeUndefined();
  });
});

test('the report says how each setting was given, and what waits for a later part', () => {
  const find = reportOf(
    { BACKEND_PORT: '9100' },
    'STRIPE_SECRET_KEY=sk_test_hunter22\nLITELLM_API_BASE=https://llm.example.com',
  );
  expect(find('API_PORT')).toEqual({
    field: 'apiPort',
    subject: 'Paths, ports and log',
    name: 'API_PORT',
    valueText: '9100',
    hasValue: true,
    origin: 'process environment',
    givenAs: 'BACKEND_PORT',
    waitsFor: undefined,
  });
  expect(find('STRIPE_SECRET_KEY')).toMatchObject({ valueText: '[secret]', origin: '.env', waitsFor: 'billing' });
  expect(find('LITELLM_API_BASE')).toMatchObject({ valueText: 'https://llm.example.com', waitsFor: 'LLM proxy' });
  expect(find('SMTP_HOST')).toMatchObject({ valueText: 'no mail is sent', hasValue: false, origin: 'default' });
});

test('at a start it is said once for each later part what was given for it', () => {
  const env = { LITELLM_API_BASE: 'https://llm.example.com', OPENAI_API_KEY: 'hunter22', S3_REGION: 'eu-west-1' };
  expect(sentencesOf(loadSettings({ env }).report)).toEqual([
    { level: 'info', text: 'Understood, not active yet: LITELLM_API_BASE, OPENAI_API_KEY. Waits for: LLM proxy.' },
    { level: 'info', text: 'Understood, not active yet: S3_REGION. Waits for: backup.' },
  ]);
});

test('all faults of both sources come at once, in one Fault', () => {
  const sources = {
    env: { API_PORT: 'http', SECRETS_MANAGER: 'Vault' },
    envFile: 'COOKIE_SECURE=maybe\nSMTP_PORT=1\nSMTP_PORT=2',
  };
  expect(examineSettings(sources).faults).toHaveLength(4);
  const error: unknown = (() => {
    try {
      return loadSettings(sources);
    } catch (thrown) {
      return thrown;
    }
  })();
  expect(Fault.is(error, 'CONFIG_INVALID')).toBe(true);
  expect((error as Fault).message.split('\n')).toEqual([
    'The settings are not valid:',
    '  - SMTP_PORT is set in lines 2 and 3 of .env with different values; keep one of them',
    '  - API_PORT is "http"; wanted is a port from 1 to 65535 (0: any free one)',
    '  - COOKIE_SECURE is "maybe"; wanted is true or false',
    '  - SECRETS_MANAGER asks for Vault, but HASHICORP_VAULT_ADDR and HASHICORP_VAULT_TOKEN are not set; set them, or SECRETS_FALLBACK=DB to keep secrets in PostgreSQL',
  ]);
});
