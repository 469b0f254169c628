import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isForEverybody, makesPeople } from '#auth/identity/provider.ts';
import { listProviders } from '#auth/identity/store.ts';
import { mayOf } from '#auth/roles.ts';
import { administrator } from '#support/http.ts';
import { type ApiAnswer, openIdentity, type TestIdentity } from '#support/identity.ts';
import { describeUnless } from '#support/missing.ts';
import { useDatabase } from '#support/postgres.ts';
import { certificatesMissing, createSamlServer, makeKeyPair } from '#support/saml-server.ts';

const db = useDatabase();
let plinth: TestIdentity;
const canary = 'canary-2f6d1b';
const okta = {
  kind: 'oidc',
  preset: 'okta',
  label: 'Okta',
  issuer: 'https://acme.okta.com',
  clientId: 'c',
  clientSecret: canary,
};

beforeAll(async () => {
  plinth = await openIdentity(db.database);
});
afterAll(() => plinth?.close());
beforeEach(async () => {
  plinth.state.caller = administrator;
  await db.database.query('delete from identity_providers');
  await db.database.query('delete from secret_values');
});

const countOf = async (table: string) =>
  (await db.database.query<{ count: number }>(`select count(*)::integer as count from ${table}`)).rows[0]?.count;
const secretCount = () => countOf('secret_values');
const providerCount = () => countOf('identity_providers');
const findings = (json: ApiAnswer) =>
  Object.fromEntries((json.findings ?? []).map(({ path, message }) => [path, message]));

describe('providers', () => {
  test('are made, listed, changed and deleted, and their secrets never come out', async () => {
    const made = await plinth.api('POST', '', { ...okta, name: 'Okta' });
    expect([made.status, made.json]).toEqual([
      201,
      {
        name: 'Okta',
        kind: 'oidc',
        preset: 'okta',
        label: 'Okta',
        issuer: 'https://acme.okta.com',
        clientId: 'c',
        domains: [],
        enabled: true,
        trustEmail: false,
        source: 'api',
        secretSet: true,
        callbackUrl: `${plinth.url}/api/auth/sso/callback/Okta`,
        metadataUrl: null,
        problem: null,
        updatedAt: expect.any(String),
      },
    ]);
    const listed = await plinth.api('GET', '');
    expect(listed.json).toEqual({ items: [made.json], next: null });
    const { clientSecret, ...rest } = okta;
    const changed = await plinth.api('PUT', '/Okta', { ...rest, label: 'Company' });
    expect(changed.json).toMatchObject({ label: 'Company', secretSet: true });
    expect((await plinth.api('GET', '/Okta')).json).toEqual(changed.json);
    expect(made.text + listed.text + changed.text).not.toContain(clientSecret);
    const { rows } = await db.database.query('select * from identity_providers');
    expect(JSON.stringify(rows)).not.toContain(canary);
    const stored = await plinth.secrets.resolve([`identity-provider/${rows[0]?.id}`], ['secret']);
    expect(stored.get('secret')?.value.reveal()).toBe(canary);
    expect(await plinth.secrets.list('organization')).toEqual([]);
    expect((await plinth.api('DELETE', '/Okta')).status).toBe(204);
    expect((await plinth.api('GET', '/Okta')).code).toBe('IDENTITY_PROVIDER_NOT_FOUND');
    expect(await secretCount()).toBe(0);
  });

  test('a name is taken in whatever case, and the secret of who came second is not kept', async () => {
    expect((await plinth.api('POST', '', { ...okta, name: 'Okta' })).status).toBe(201);
    expect((await plinth.api('POST', '', { ...okta, name: 'OKTA' })).code).toBe('IDENTITY_PROVIDER_EXISTS');
    expect(await secretCount()).toBe(1);
    // Its address keeps its case.
    expect((await plinth.api('GET', '/okta')).code).toBe('IDENTITY_PROVIDER_NOT_FOUND');
  });

  test('a name that has another meaning in our addresses is refused', async () => {
    expect((await plinth.api('POST', '', { ...okta, name: 'Email' })).code).toBe('REQUEST_INVALID');
    expect((await plinth.api('POST', '', { ...okta, name: '../x' })).code).toBe('REQUEST_INVALID');
  });

  test('a secret may be in Vault, where there is one', async () => {
    const { clientSecret, ...rest } = okta;
    const place = { path: 'secret/data/okta', key: clientSecret };
    const made = await plinth.api('POST', '', { ...rest, name: 'Okta', clientSecretVault: place });
    expect([made.code, await providerCount()]).toEqual(['SECRET_IN_VAULT_ONLY', 0]);
  });

  test.each<[string, Record<string, unknown>, string, RegExp]>([
    ['no issuer', { kind: 'oidc', clientId: 'c' }, 'issuer', /it is missing/],
    [
      'every tenant',
      { kind: 'oidc', preset: 'entra', issuer: 'https://login.microsoftonline.com/common/v2.0', clientId: 'c' },
      'issuer',
      /every tenant/,
    ],
    [
      'hosted domain elsewhere',
      { kind: 'oidc', preset: 'okta', issuer: 'https://a.okta.com', clientId: 'c', hostedDomain: 'example.com' },
      'hostedDomain',
      /only Google/,
    ],
    ['GitHub without a secret', { kind: 'github', clientId: 'c' }, 'clientSecret', /missing/],
    ['SAML without anything', { kind: 'saml' }, 'entityId', /missing/],
    [
      'a certificate that is none',
      { kind: 'saml', entityId: 'x', entryPoint: 'https://x.example', certificates: ['x'] },
      'certificates.0',
      /no certificate/,
    ],
    ['metadata with a DTD', { kind: 'saml', metadata: '<!DOCTYPE x><x/>' }, 'metadata', /DTD/],
    ['metadata that is something else', { kind: 'saml', metadata: '<x/>' }, 'metadata', /not the metadata/],
    ['a script for an address', { kind: 'saml', entityId: 'x', entryPoint: 'javascript:alert(1)' }, 'entryPoint', /./],
    ['a domain that is none', { ...okta, domains: ['@x'] }, 'domains.0', /domain/],
    [
      'an expression that cannot be read',
      {
        ...okta,
        roleMapping: {
          rules: [
            { expression: 'a', role: 'viewer' },
            { expression: '{{#if a}}', role: 'viewer' },
          ],
        },
      },
      'roleMapping.rules.1.expression',
      /not closed/,
    ],
    [
      'a template of groups that cannot be read',
      { ...okta, teamSync: { teams: [], groupsExpression: '{{shout groups}}' } },
      'teamSync.groupsExpression',
      /no function/,
    ],
  ])('refused with the reason: %s', async (_, body, path, why) => {
    const { status, json } = await plinth.api('POST', '', { label: 'X', name: 'X', ...body });
    expect([status, json.code]).toEqual([400, 'REQUEST_INVALID']);
    expect(findings(json)[path]).toMatch(why);
    expect(await secretCount()).toBe(0);
  });

  test('everybody’s providers make people only where somebody said so, or of a domain', async () => {
    const made = async (body: Record<string, unknown>) => {
      await db.database.query('delete from identity_providers');
      expect(
        (await plinth.api('POST', '', { label: 'X', name: 'X', clientId: 'c', clientSecret: 's', ...body })).status,
      ).toBe(201);
      const config = (await listProviders(db.database))[0]?.config;
      return config === undefined ? [] : [isForEverybody(config), makesPeople(config)];
    };
    expect(await made({ kind: 'github' })).toEqual([true, false]);
    expect(await made({ kind: 'github', server: 'https://github.example.com' })).toEqual([false, true]);
    expect(await made({ kind: 'oidc', preset: 'google' })).toEqual([true, false]);
    expect(await made({ kind: 'oidc', preset: 'google', hostedDomain: 'example.com' })).toEqual([false, true]);
    expect(await made({ kind: 'oidc', preset: 'gitlab', domains: ['example.com'] })).toEqual([false, true]);
    expect(await made({ kind: 'oidc', issuer: 'https://accounts.google.com' })).toEqual([true, false]);
    expect(await made({ kind: 'github', createPeople: true })).toEqual([true, true]);
  });
});

describeUnless(certificatesMissing(), 'SAML metadata', () => {
  test('fills entity, address and certificate, and is tested by their facts', async () => {
    const keys = makeKeyPair('idp.example');
    const { metadata } = createSamlServer(keys);
    const { json, status } = await plinth.api('POST', '', { kind: 'saml', label: 'X', name: 'X', metadata });
    expect([status, json.entityId, json.entryPoint]).toEqual([
      201,
      'https://idp.example/metadata',
      'https://idp.example/sso',
    ]);
    expect(json.certificates?.map((each) => each.replace(/\s/g, ''))).toEqual([keys.certificate.replace(/\s/g, '')]);
    expect(json.metadata).toBeUndefined();
    const tested = await plinth.api('POST', '/X/test');
    expect(tested.json).toMatchObject({
      works: true,
      facts: { 'certificate 1': expect.stringMatching(/CN=idp.example until 20/) },
    });
  });
});

describe('nobody grants what they do not hold', () => {
  const half = mayOf({ 'identity-provider:write': 'organization', 'identity-provider:read': 'organization' }, []);

  test('who is no administrator’s equal says whom to believe in nothing', async () => {
    await plinth.api('POST', '', { ...okta, name: 'Okta' });
    plinth.state.caller = { ...administrator, role: 'half', may: half };
    const tries = [
      await plinth.api('POST', '', { ...okta, name: 'Own' }),
      await plinth.api('PUT', '/Okta', { ...okta, trustEmail: true }),
      await plinth.api('DELETE', '/Okta'),
      await plinth.api('DELETE', '/Okta/links/x@example.com'),
    ];
    expect(tries.map(({ code }) => code)).toEqual(Array(4).fill('GRANT_BEYOND_OWN'));
    expect((await plinth.api('GET', '/Okta')).json.trustEmail).toBe(false);
  });

  test('a role that does not exist is refused', async () => {
    const roleMapping = { rules: [{ expression: 'x', role: 'captain' }] };
    expect((await plinth.api('POST', '', { ...okta, name: 'Okta', roleMapping })).code).toBe('ROLE_NOT_FOUND');
  });

  test('tokens change no provider, viewers see none', async () => {
    plinth.state.caller = { ...administrator, credential: { kind: 'token', id: 'tok_x' } };
    expect((await plinth.api('POST', '', { ...okta, name: 'Okta' })).code).toBe('FORBIDDEN');
    plinth.state.caller = { ...administrator, may: mayOf({}, []) };
    expect((await plinth.api('GET', '')).code).toBe('FORBIDDEN');
  });
});

describe('a dry run of the mapping', () => {
  test('says which rule matches and what the groups bring, and changes nothing', async () => {
    const roleMapping = {
      rules: [
        { expression: '{{includes groups "admins"}}', role: 'admin' },
        { expression: '{{includes groups "makers"}}', role: 'editor' },
      ],
      strict: true,
    };
    const teamSync = { teams: [{ group: 'MAKERS', team: 'shop' }] };
    await plinth.api('POST', '', { ...okta, name: 'Okta', roleMapping, teamSync });
    const tried = async (body: Record<string, unknown>) => (await plinth.api('POST', '/Okta/mapping', body)).json;
    expect(await tried({ claims: { groups: ['Makers', 'rest'] } })).toEqual({
      allowed: true,
      role: 'editor',
      rule: 1,
      groups: ['Makers', 'rest'],
      teams: ['shop'],
      unmapped: ['rest'],
    });
    expect(await tried({ claims: {} })).toMatchObject({ allowed: false, role: null, rule: null, groups: [] });
    expect(await tried({ claims: { memberOf: 'a' }, roleMapping: { rules: [], strict: false } })).toMatchObject({
      allowed: true,
      role: null,
      groups: ['a'],
    });
    const wrong = await plinth.api('POST', '/Okta/mapping', {
      claims: {},
      roleMapping: { rules: [{ expression: '{{', role: 'x' }] },
    });
    expect(wrong.code).toBe('REQUEST_INVALID');
  });
});
