import { describe, expect, test } from 'vitest';
import { readConfig } from '#base/config.ts';
import { faultsOf, noticesOf, warningsOf } from './faults-of.ts';

describe('what one setting asks of another', () => {
  test.each([
    [
      { GEMINI_VERTEX_AI_ENABLED: 'true' },
      ['GEMINI_VERTEX_AI_ENABLED is true, but GEMINI_VERTEX_AI_PROJECT is not set; set it to the Google Cloud project'],
    ],
    [
      { ARCHESTRA_CHATOPS_MS_TEAMS_ENABLED: 'true' },
      [
        'CHATOPS_MS_TEAMS_APP_ID is not set; it is required with CHATOPS_MS_TEAMS_ENABLED=true',
        'CHATOPS_MS_TEAMS_APP_PASSWORD is not set; it is required with CHATOPS_MS_TEAMS_ENABLED=true',
      ],
    ],
    [
      { ARCHESTRA_AGENTS_INCOMING_EMAIL_PROVIDER: 'outlook', AGENTS_INCOMING_EMAIL_OUTLOOK_TENANT_ID: 't' },
      ['CLIENT_ID', 'CLIENT_SECRET', 'MAILBOX_ADDRESS'].map(
        (name) =>
          `AGENTS_INCOMING_EMAIL_OUTLOOK_${name} is not set; it is required with AGENTS_INCOMING_EMAIL_PROVIDER=outlook`,
      ),
    ],
    [
      { KNOWLEDGE_GRAPH_PROVIDER: 'lightrag' },
      ['KNOWLEDGE_GRAPH_LIGHTRAG_API_URL is not set; it is required with KNOWLEDGE_GRAPH_PROVIDER=lightrag'],
    ],
    [
      { GITHUB_CLIENT_ID: 'id' },
      ['GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET belong together; GITHUB_CLIENT_SECRET is not set'],
    ],
    [
      { GOOGLE_CLIENT_SECRET: 'hunter22' },
      ['GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET belong together; GOOGLE_CLIENT_ID is not set'],
    ],
    [
      { SMTP_HOST: 'mail', SMTP_SENDER_EMAIL: 'a@example.com', SMTP_USERNAME: 'ada' },
      ['SMTP_USERNAME and SMTP_PASSWORD belong together; SMTP_PASSWORD is not set'],
    ],
    [
      { TWO_FA_ENABLED: 'true' },
      [
        'TWO_FA_ENABLED asks everyone for a code by mail, but SMTP_HOST is not set: nobody could sign in; set it, or switch TWO_FA_ENABLED off',
      ],
    ],
    [
      { TWO_FA_ENABLED: 'true', SMTP_HOST: 'mail' },
      [
        'TWO_FA_ENABLED asks everyone for a code by mail, but SMTP_SENDER_EMAIL is not set: nobody could sign in; set it, or switch TWO_FA_ENABLED off',
      ],
    ],
    [
      { S3_ACCESS_KEY_ID: 'AKIA0123456789' },
      ['S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY belong together; S3_SECRET_ACCESS_KEY is not set'],
    ],
    [
      { STRIPE_SECRET_KEY: 'sk_live_hunter22', STRIPE_PUBLISHABLE_KEY: 'pk_test_x' },
      [
        'STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY are of different modes; both must be test keys, or both live ones',
      ],
    ],
    [
      { STRIPE_SECRET_KEY: 'pk_test_x' },
      ['STRIPE_SECRET_KEY is a value; wanted is a text that begins with sk_ or rk_'],
    ],
    [{ STRIPE_WEBHOOK_SECRET: 'x' }, ['STRIPE_WEBHOOK_SECRET is a value; wanted is a text that begins with whsec_']],
  ] satisfies [Record<string, string>, string[]][])('%j', (env, faults) => {
    expect(faultsOf(env)).toEqual(faults);
  });

  test('what is at fault already is not said to be missing as well', () => {
    expect(faultsOf({ KNOWLEDGE_GRAPH_PROVIDER: 'lightrag', KNOWLEDGE_GRAPH_LIGHTRAG_API_URL: 'nowhere' })).toEqual([
      'KNOWLEDGE_GRAPH_LIGHTRAG_API_URL is "nowhere"; wanted is an address such as https://host.example.com',
    ]);
    const vault = { SECRETS_MANAGER: 'Vault', HASHICORP_VAULT_ADDR: 'nowhere', DATABASE_URL_VAULT_REF: 'a/b:c' };
    expect(faultsOf({ ...vault, HASHICORP_VAULT_TOKEN: 't' })).toEqual([
      'HASHICORP_VAULT_ADDR is "nowhere"; wanted is an address such as https://host.example.com',
    ]);
  });
});

test('sign-in with GitHub and Google, whole', () => {
  const { github, google } = readConfig({
    GITHUB_CLIENT_ID: 'hub',
    GITHUB_CLIENT_SECRET: 'hunter22',
    GITHUB_OAUTH_REDIRECT_URI: 'http://localhost/api/auth/github/callback',
    GOOGLE_CLIENT_ID: 'goo',
    GOOGLE_CLIENT_SECRET: 'hunter33',
  });
  expect([github?.clientId, github?.clientSecret.reveal(), github?.redirectUri]).toEqual([
    'hub',
    'hunter22',
    'http://localhost/api/auth/github/callback',
  ]);
  expect([google?.clientId, google?.clientSecret.reveal(), google?.redirectUri]).toEqual([
    'goo',
    'hunter33',
    undefined,
  ]);
  expect(readConfig({ GITHUB_OAUTH_REDIRECT_URI: 'http://localhost/x' }).github).toBeUndefined();
});

test('mail: host and sender; the user is the sender where it is an address', () => {
  const host = { SMTP_HOST: 'smtp.example.com' };
  const signIn = { SMTP_USERNAME: 'ada@example.com', SMTP_PASSWORD: 'hunter22' };
  const { mailServer } = readConfig({ ...host, ...signIn });
  expect({ ...mailServer, password: mailServer?.password?.reveal() }).toEqual({
    host: 'smtp.example.com',
    port: 587,
    username: 'ada@example.com',
    password: 'hunter22',
    sender: 'ada@example.com',
    allowPlain: false,
  });
  const named = { ...host, SMTP_PORT: '25', SMTP_SENDER_EMAIL: 'Plinth <plinth@example.com>' };
  expect(readConfig(named).mailServer).toMatchObject({ port: 25, sender: 'Plinth <plinth@example.com>' });
  expect(readConfig({}).mailServer).toBeUndefined();
  expect(warningsOf(host)).toEqual([
    'SMTP_SENDER_EMAIL is not set: no mail is sent, whatever the other SMTP_ settings say.',
  ]);
  expect(warningsOf(signIn)).toEqual(['SMTP_HOST is not set: no mail is sent, whatever the other SMTP_ settings say.']);
});

describe('keys of providers', () => {
  test('by pattern, for any name of letters; OPENAI_API_KEY and ANTHROPIC_API_KEY are the same as theirs', () => {
    const { chatApiKeys } = readConfig({
      ARCHESTRA_CHAT_GEMINI_API_KEY: 'g-key',
      CHAT_MISTRAL_API_KEY: 'm-key',
      OPENAI_API_KEY: 'o-key',
      ANTHROPIC_API_KEY: 'a-key',
      CHAT_ANTHROPIC_API_KEY: 'a-key',
    });
    expect(Object.entries(chatApiKeys).map(([provider, key]) => [provider, key.reveal()])).toEqual([
      ['anthropic', 'a-key'],
      ['openai', 'o-key'],
      ['gemini', 'g-key'],
      ['mistral', 'm-key'],
    ]);
    expect(faultsOf({ OPENAI_API_KEY: 'one', CHAT_OPENAI_API_KEY: 'two' })).toEqual([
      'CHAT_OPENAI_API_KEY and OPENAI_API_KEY are the same setting with different values; keep one of them',
    ]);
    expect(readConfig({}).chatApiKeys).toEqual({});
  });

  test('a slip in the name of a provider is pointed at', () => {
    expect(warningsOf({ CHAT_OPNAI_API_KEY: 'key' })).toEqual([
      'CHAT_OPNAI_API_KEY is for a provider opnai, which looks like a slip of openai.',
    ]);
    expect(warningsOf({ CHAT_MISTRAL_API_KEY: 'key', CHAT_XAI_API_KEY: 'key' })).toEqual([]);
  });
});

test('an address with a password in it is refused, since there are settings for that, and the password is not shown', () => {
  expect(faultsOf({ LITELLM_API_BASE: 'https://ada:hunter22@llm.example.com/v1' })).toEqual([
    'LITELLM_API_BASE is "https://[secret]@llm.example.com/v1"; wanted is an address without a user or a password in it; there are settings of their own for these',
  ]);
  expect(faultsOf({ LITELLM_API_BASE: 'https://ada:hun/ter22@llm.example.com/v1' })[0]).not.toContain('ter22');
});

test('the line end that echo leaves in a secret is taken off, with a warning', () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel', OTEL_EXPORTER_OTLP_AUTH_BEARER: 'token\n' };
  expect(readConfig(env).traceCollector?.authorization?.reveal()).toBe('Bearer token');
  expect(warningsOf(env)).toEqual(['OTEL_EXPORTER_OTLP_AUTH_BEARER ended with a line end, which is left out.']);
});

test('names that belong to clients are known', () => {
  expect(noticesOf({ ARCHESTRA_API_KEY: 'hunter22', ARCHESTRA_BASE_URL: 'https://api.example.com' })).toEqual(
    ['ARCHESTRA_API_KEY', 'ARCHESTRA_BASE_URL'].map((name) => ({
      level: 'info',
      text: `${name} belongs to clients (the command line and the Pulumi package); the control plane does not read it.`,
    })),
  );
});
