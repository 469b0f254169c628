import { describe, expect, test } from 'vitest';
import { examineSettings, readConfig } from '#base/config.ts';
import { faultsOf, goodKey, noticesOf, warningsOf } from './faults-of.ts';

const production = { NODE_ENV: 'production' };
const behind = { ...production, TRUSTED_PROXIES: '10.0.0.0/8' };
const example = 'dGhpcyBpcyBhIHNlY3JldCBrZXkgZm9yIGRlbW8gcHVycG9zZXM';
const vault = { HASHICORP_VAULT_ADDR: 'http://127.0.0.1:8200', HASHICORP_VAULT_TOKEN: 'hvs.0123456789' };

test('plain HTTP in production is warned about, but not on this very machine', () => {
  const told = (url: string) =>
    warningsOf({ ...production, FRONTEND_URL: url }).filter((text) => text.includes('HTTP'));
  expect(told('http://plinth.corp.example')[0]).toContain('nobody can sign in');
  expect([told('https://plinth.corp.example'), told('http://localhost:3000')]).toEqual([[], []]);
});

/** The rows of the decision table, where the two references disagree or are unsafe. */
describe('SECRET_KEY and AUTH_SECRET', () => {
  test('are one setting', () => {
    for (const name of ['SECRET_KEY', 'AUTH_SECRET', 'ARCHESTRA_AUTH_SECRET'])
      expect(readConfig({ [name]: goodKey }).secretKey?.reveal()).toBe(goodKey);
    expect(faultsOf({ SECRET_KEY: goodKey, ARCHESTRA_AUTH_SECRET: `${goodKey}2` })).toEqual([
      'SECRET_KEY and ARCHESTRA_AUTH_SECRET are the same setting with different values; keep one of them',
    ]);
  });

  test('absent it is left to be generated, but is required in production with an external database', () => {
    expect(readConfig(production).secretKey).toBeUndefined();
    expect(readConfig({ DATABASE_URL: 'postgresql://u:p@db/app' }).secretKey).toBeUndefined();
    const wanted = [
      'SECRET_KEY is not set; it is required in production with an external database, since a generated one would be lost with this machine; make one with: openssl rand -base64 32',
    ];
    expect(faultsOf({ ...production, DATABASE_URL: 'postgresql://u:p@db/app' })).toEqual(wanted);
    expect(faultsOf({ ...production, POSTGRES_HOST: 'db' })).toEqual(wanted);
    const inVault = { ...vault, SECRETS_MANAGER: 'READONLY_VAULT', DATABASE_URL_VAULT_REF: 'secret/data/app:url' };
    expect(faultsOf({ ...production, ...inVault })).toEqual(wanted);
  });

  test.each([
    ['short', 'your-other-key', 'is shorter than 32 characters'],
    ['an example of a reference', example, 'is an example that everybody knows'],
    ['another', 'something-really-really-secret-12345', 'is an example that everybody knows'],
    [
      'one that people copy, in other words',
      'Your-Secret-Key-Change-In-Production',
      'is an example that everybody knows',
    ],
    ['a row of the keyboard', 'qwertyuiop-1234567890-change-me-please', 'is an example that everybody knows'],
    ['one word again and again', 'abcdefghij'.repeat(4), 'repeats itself'],
    ['the same, cut', `${'abcdefghijklm'.repeat(3)}abc`, 'repeats itself'],
    ['of few characters', '0123012012301230012301230012301230012301', 'repeats itself'],
  ])('%s: refused in production, elsewhere stretched with a warning', (_, key, weakness) => {
    expect(faultsOf({ ...production, SECRET_KEY: key })).toEqual([
      `SECRET_KEY is a value; wanted is at least 32 characters that nobody can guess (it ${weakness}); make one with: openssl rand -base64 32`,
    ]);
    const stretched = readConfig({ SECRET_KEY: key }).secretKey?.reveal();
    expect(stretched).toMatch(/^[0-9a-f]{64}$/);
    expect(readConfig({ AUTH_SECRET: key }).secretKey?.reveal()).toBe(stretched);
    expect(readConfig({ SECRET_KEY_PREVIOUS: key }).secretKeyPrevious?.reveal()).toBe(stretched);
    expect(warningsOf({ SECRET_KEY: key })).toEqual([
      `SECRET_KEY ${weakness}: it is stretched by HKDF, which makes nothing secret; production refuses it. For a good one: openssl rand -base64 32.`,
    ]);
  });

  test('a good one is taken as it is, without a word', () => {
    const named = `acme-secret-key-in-production-${goodKey}`;
    expect(readConfig({ ...production, SECRET_KEY: named }).secretKey?.reveal()).toBe(named);
    expect(readConfig({ ...production, SECRET_KEY: goodKey }).secretKey?.reveal()).toBe(goodKey);
    expect(warningsOf({ SECRET_KEY: goodKey })).toEqual([]);
  });

  test('the key that encrypts is a Fernet key or 32 characters', () => {
    const fernet = 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=';
    expect(readConfig({ DEPLOYMENT_ENCRYPTION_KEY: fernet }).deploymentEncryptionKey?.reveal()).toBe(fernet);
    expect(readConfig({ DEPLOYMENT_ENCRYPTION_KEY: goodKey }).deploymentEncryptionKey?.reveal()).toBe(goodKey);
    expect(faultsOf({ DEPLOYMENT_ENCRYPTION_KEY: 'short' })[0]).toContain('a Fernet key, or at least 32 characters');
    expect(faultsOf({ ...production, DEPLOYMENT_ENCRYPTION_KEY: 'a'.repeat(40) })[0]).toContain('(it repeats itself)');
    expect(warningsOf({ DEPLOYMENT_ENCRYPTION_KEY: 'a'.repeat(40) })[0]).toContain('repeats itself');
    expect(readConfig({ DEPLOYMENT_ENCRYPTION_KEY_PREVIOUS: 'a'.repeat(40) })).toMatchObject({
      deploymentEncryptionKey: undefined,
    });
  });
});

test('DEPLOYMENT_MODE: unset is for the machine to say; docker warns plainly that it means none', () => {
  expect(readConfig({}).deploymentMode).toBeUndefined();
  expect(readConfig({ DEPLOYMENT_MODE: 'Kubernetes' }).deploymentMode).toBe('kubernetes');
  expect(readConfig({ DEPLOYMENT_MODE: 'docker' }).deploymentMode).toBe('docker');
  expect(warningsOf({ DEPLOYMENT_MODE: 'docker' })).toEqual([
    'DEPLOYMENT_MODE is docker, whose runtime does not exist yet: the environment local has runtime none, so that Git is written and nothing is started. With a cluster, set it to kubernetes.',
  ]);
  expect(faultsOf({ DEPLOYMENT_MODE: 'swarm' })).toEqual([
    'DEPLOYMENT_MODE is "swarm"; wanted is one of docker, kubernetes',
  ]);
});

test.each([
  ['LOG_LEVEL', 'DEBUG', 'debug'],
  ['LOG_LEVEL', 'INFO', 'info'],
  ['LOG_LEVEL', 'WARNING', 'warn'],
  ['LOG_LEVEL', 'ERROR', 'error'],
  ['LOG_LEVEL', 'CRITICAL', 'fatal'],
  ['ARCHESTRA_LOGGING_LEVEL', 'trace', 'trace'],
  ['LOGGING_LEVEL', 'Warn', 'warn'],
  ['ARCHESTRA_LOGGING_LEVEL', 'fatal', 'fatal'],
])('log level: %s=%s is %s', (name, text, level) => {
  expect(readConfig({ [name]: text }).logLevel).toBe(level);
});

test('log level: the same in two vocabularies is no contradiction', () => {
  expect(readConfig({ LOG_LEVEL: 'WARNING', ARCHESTRA_LOGGING_LEVEL: 'warn' }).logLevel).toBe('warn');
});

test.each([
  ['ARCHESTRA_AUTH_ADMIN_PASSWORD', 'password', 'adminPassword'],
  ['METRICS_SECRET', 'archestra-metrics-secret', 'metricsSecret'],
] as const)(
  '%s: the default that everybody knows is not used by itself, warned about, and refused in production',
  (name, known, field) => {
    expect(readConfig({})[field]).toBeUndefined();
    expect(readConfig({ [name]: known })[field]?.reveal()).toBe(known);
    expect(warningsOf({ [name]: known })).toEqual([
      `${name} is the default that everybody knows; production refuses it.`,
    ]);
    expect(faultsOf({ ...production, [name]: known })).toEqual([
      `${name} is a value; wanted is one of your own: this is the default that everybody knows`,
    ]);
    expect(readConfig({ ...production, [name]: `my own ${known}` })[field]?.reveal()).toBe(`my own ${known}`);
  },
);

test('the administrator is admin@localhost.ai unless named', () => {
  expect(readConfig({}).adminEmail).toBe('admin@localhost.ai');
  expect(readConfig({ ARCHESTRA_AUTH_ADMIN_EMAIL: 'Ada@Example.com' }).adminEmail).toBe('ada@example.com');
});

test('COOKIE_SECURE: as it says, else by FRONTEND_URL; production asks for it always', () => {
  const secure = (env: Record<string, string>) => readConfig(env).cookieSecure;
  expect([secure({}), secure({ COOKIE_SECURE: 'true' }), secure({ FRONTEND_URL: 'https://a.example.com' })]).toEqual([
    false,
    true,
    true,
  ]);
  expect(secure({ FRONTEND_URL: 'https://a.example.com', COOKIE_SECURE: 'false' })).toBe(false);
  expect(secure({ ...production, COOKIE_SECURE: 'false' })).toBe(true);
  expect(warningsOf({ ...behind, COOKIE_SECURE: 'false', CORS_ORIGINS: 'https://a.example.com' })).toEqual([
    'COOKIE_SECURE=false does not count in production: cookies are sent over HTTPS only.',
  ]);
});

describe('what shapes manifests', () => {
  test('only what was given goes into environment.yaml', () => {
    const nothing = Object.values(readConfig({}).manifestSettings);
    expect(nothing).toEqual(Array(11).fill(undefined));
    expect(readConfig({ DEPLOYMENT_MODE: 'docker', APP_DOMAIN: 'localhost' }).manifestSettings).toMatchObject({
      runtime: 'none',
      domain: 'apps.localhost',
    });
  });

  test('the settings of the EKS profile', () => {
    expect(
      readConfig({
        DEPLOYMENT_MODE: 'kubernetes',
        APP_DOMAIN: 'studio.yourcompany.com',
        K8S_DEVSERVER_IMAGE: '<ECR_URL>/tesslate-devserver:latest',
        K8S_IMAGE_PULL_SECRET: 'ecr-credentials',
        K8S_STORAGE_CLASS: 'tesslate-block-storage',
        K8S_PVC_SIZE: '10Gi',
        K8S_SNAPSHOT_CLASS: 'tesslate-ebs-snapshots',
        K8S_INGRESS_CLASS: 'nginx',
        K8S_WILDCARD_TLS_SECRET: 'tesslate-wildcard-tls',
        K8S_ENABLE_POD_AFFINITY: 'true',
        K8S_ENABLE_NETWORK_POLICIES: 'false',
      }).manifestSettings,
    ).toEqual({
      runtime: 'kubernetes',
      domain: 'apps.studio.yourcompany.com',
      storageClass: 'tesslate-block-storage',
      volumeSize: '10Gi',
      snapshotClass: 'tesslate-ebs-snapshots',
      ingressClass: 'nginx',
      tlsSecret: 'tesslate-wildcard-tls',
      pullSecret: 'ecr-credentials',
      image: '<ECR_URL>/tesslate-devserver:latest',
      affinity: true,
      policies: false,
    });
  });
});

describe('origins', () => {
  test('none named: undefined, so that all are accepted outside production; production is warned', () => {
    expect(readConfig({}).trustedOrigins).toBeUndefined();
    expect(warningsOf({})).toEqual([]);
    expect(warningsOf(behind)).toEqual([
      'Neither FRONTEND_URL nor AUTH_ADDITIONAL_TRUSTED_ORIGINS nor CORS_ORIGINS is set: in production no web page of another origin may call the API.',
    ]);
  });

  test('production is told when no proxy is believed', () => {
    const bare = { FRONTEND_URL: 'https://plinth.example.com' };
    const sentence =
      'TRUSTED_PROXIES is not set: behind an ingress, a load balancer or any other proxy everybody then comes from one address, and the limits of signing in cannot tell a stranger from anybody else. Set it to the addresses or networks of the proxies; without a proxy leave it.';
    expect(warningsOf({ ...production, ...bare })).toEqual([sentence]);
    expect(warningsOf({ ...behind, ...bare })).toEqual([]);
    expect(warningsOf(bare)).toEqual([]);
  });

  test('named ones are joined, each once, without paths and slashes', () => {
    const { trustedOrigins } = readConfig({
      ARCHESTRA_FRONTEND_URL: 'https://studio.example.com/app/',
      AUTH_ADDITIONAL_TRUSTED_ORIGINS: 'http://idp.example.com:8080/, https://auth.example.com',
      CORS_ORIGINS: 'https://studio.example.com,http://localhost:5173,',
    });
    expect(trustedOrigins).toEqual([
      'https://studio.example.com',
      'http://idp.example.com:8080',
      'https://auth.example.com',
      'http://localhost:5173',
    ]);
    expect(faultsOf({ CORS_ORIGINS: 'https://a.example.com,*' })).toEqual([
      'CORS_ORIGINS is "https://a.example.com,*"; wanted is a list, separated by commas, each an address such as https://host.example.com',
    ]);
    expect(faultsOf({ CORS_ORIGINS: 'https://a.example.com/x' })[0]).toContain('each an origin such as');
  });
});

describe('subdomains', () => {
  test('projects are served below apps.<APP_DOMAIN> unless PROJECTS_DOMAIN is named', () => {
    expect(readConfig({}).projectsDomain).toBe('apps.localhost');
    expect(readConfig({ APP_DOMAIN: 'Studio.example.com' }).projectsDomain).toBe('apps.studio.example.com');
    expect(readConfig({ APP_DOMAIN: 'a.example.com', PROJECTS_DOMAIN: 'apps.example.net' }).projectsDomain).toBe(
      'apps.example.net',
    );
    expect(faultsOf({ APP_DOMAIN: 'https://studio.example.com' })[0]).toContain('without protocol, port or path');
    expect(warningsOf({ APP_DOMAIN: '192.168.1.5' })[0]).toContain('Set PROJECTS_DOMAIN');
  });

  test.each(['.studio.example.com', 'studio.example.com', 'example.com', 'apps.studio.example.com'])(
    'COOKIE_DOMAIN=%s reaches the projects: it is not used, and that is said once',
    (cookieDomain) => {
      const env = { APP_DOMAIN: 'studio.example.com', COOKIE_DOMAIN: cookieDomain };
      expect(readConfig(env).cookieDomain).toBeUndefined();
      const said = warningsOf(env).filter((text) => text.includes('COOKIE_DOMAIN'));
      expect(said).toHaveLength(1);
      expect(said[0]).toContain(`COOKIE_DOMAIN ${cookieDomain} reaches apps.studio.example.com`);
    },
  );

  test('a cookie domain that does not reach them is used', () => {
    const env = { APP_DOMAIN: 'studio.example.com', PROJECTS_DOMAIN: 'apps.example.net' };
    expect(readConfig({ ...env, ARCHESTRA_AUTH_COOKIE_DOMAIN: '.Example.com' }).cookieDomain).toBe('example.com');
    expect(readConfig({ ...env, COOKIE_DOMAIN: 'le.net' }).cookieDomain).toBe('le.net');
    expect(readConfig({ COOKIE_DOMAIN: 'localhost' }).cookieDomain).toBeUndefined();
  });

  test('a domain of their own is recommended where a browser takes both for one site', () => {
    const advice = (env: Record<string, string>) => noticesOf(env).filter(({ text }) => text.includes('is safer'));
    expect(advice({ APP_DOMAIN: 'studio.example.com' })).toHaveLength(1);
    expect(advice({ APP_DOMAIN: 'studio.example.com', PROJECTS_DOMAIN: 'apps.example.com' })).toHaveLength(1);
    expect(advice({ APP_DOMAIN: 'studio.example.com', PROJECTS_DOMAIN: 'example.net' })).toEqual([]);
    expect(advice({})).toEqual([]);
  });
});

test.each(['http://otel:4318', 'http://otel:4318/', 'http://otel:4318/v1/traces', 'http://otel:4318/v1/traces/'])(
  'OTLP endpoint %s',
  (endpoint) => {
    expect(readConfig({ ARCHESTRA_OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).traceCollector).toEqual({
      tracesUrl: 'http://otel:4318/v1/traces',
      authorization: undefined,
    });
  },
);

test('OTLP: off until an endpoint is set; bearer before basic; half a pair warns and is not used', () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318' };
  const basic = { OTEL_EXPORTER_OTLP_AUTH_USERNAME: 'ada', OTEL_EXPORTER_OTLP_AUTH_PASSWORD: 'hunter22' };
  const authorization = (env: Record<string, string>) =>
    readConfig({ ...endpoint, ...env }).traceCollector?.authorization?.reveal();
  expect(readConfig(basic).traceCollector).toBeUndefined();
  expect(authorization(basic)).toBe(`Basic ${Buffer.from('ada:hunter22').toString('base64')}`);
  expect(authorization({ ...basic, OTEL_EXPORTER_OTLP_AUTH_BEARER: 'token' })).toBe('Bearer token');
  expect(authorization({ OTEL_EXPORTER_OTLP_AUTH_USERNAME: 'ada' })).toBeUndefined();
  expect(warningsOf({ ...endpoint, OTEL_EXPORTER_OTLP_AUTH_USERNAME: 'ada' })).toEqual([
    'OTEL_EXPORTER_OTLP_AUTH_USERNAME and OTEL_EXPORTER_OTLP_AUTH_PASSWORD belong together, and only the user is set: traces are sent without signing in.',
  ]);
});

test('in-cluster kubeconfig: default true', () => {
  expect(readConfig({}).loadInClusterKubeconfig).toBe(true);
  const name = 'ARCHESTRA_ORCHESTRATOR_LOAD_KUBECONFIG_FROM_CURRENT_CLUSTER';
  expect(readConfig({ [name]: 'false' }).loadInClusterKubeconfig).toBe(false);
});

test('Teams secret: APP_PASSWORD and APP_SECRET are one', () => {
  for (const name of ['APP_PASSWORD', 'APP_SECRET'])
    for (const prefix of ['', 'ARCHESTRA_'])
      expect(readConfig({ [`${prefix}CHATOPS_MS_TEAMS_${name}`]: 'hunter22' }).teamsAppSecret?.reveal()).toBe(
        'hunter22',
      );
});

test('analytics: off unless a PostHog key is set; ANALYTICS=disabled always wins', () => {
  expect(readConfig({}).analytics).toBeUndefined();
  expect(readConfig({ ANALYTICS: 'enabled' }).analytics).toBeUndefined();
  const key = { VITE_PUBLIC_POSTHOG_KEY: 'phc_key' };
  expect(readConfig(key).analytics).toEqual({ key: 'phc_key', host: 'https://us.i.posthog.com' });
  expect(readConfig({ ...key, ARCHESTRA_ANALYTICS: 'disabled' }).analytics).toBeUndefined();
});

test('HOSTNAME: a listen address only where it is an IP address', () => {
  expect(readConfig({ HOSTNAME: '0.0.0.0' }).host).toBe('0.0.0.0');
  expect(readConfig({ HOSTNAME: 'plinth-5c9d-x2' }).host).toBe('127.0.0.1');
  expect(readConfig({ HOSTNAME: 'plinth-5c9d-x2', HOST: '::' }).host).toBe('::');
  expect(noticesOf({ HOSTNAME: 'plinth-5c9d-x2' })).toEqual([
    { level: 'info', text: "HOSTNAME does not count: it is a machine's name, not an IP address." },
  ]);
  expect(faultsOf({ HOSTNAME: '0.0.0.0', HOST: '::' })).toEqual([
    'HOST and HOSTNAME are the same setting with different values; keep one of them',
  ]);
});

test('a port that Kubernetes sets for a Service of that name is not ours', () => {
  const link = 'tcp://10.96.0.7:5432';
  const { config, report } = examineSettings({ env: { POSTGRES_PORT: link, API_PORT: link, FRONTEND_PORT: link } });
  expect(config).toMatchObject({ postgresPort: 5432, apiPort: 9000, consolePort: 3000 });
  expect(report.notices.map(({ text }) => text)).toEqual([
    'API_PORT does not count: it is the address of a Service that the cluster set.',
    'FRONTEND_PORT does not count: it is the address of a Service that the cluster set.',
    'POSTGRES_PORT does not count: it is the address of a Service that the cluster set.',
  ]);
});
