import { describe, expect, test } from 'vitest';
import { readConfig } from '#base/config.ts';
import { faultsOf, noticesOf, warningsOf } from './faults-of.ts';

const vault = { HASHICORP_VAULT_ADDR: 'http://127.0.0.1:8200', HASHICORP_VAULT_TOKEN: 'hvs.0123456789' };

describe('Vault asked for', () => {
  test.each([
    ['DB', 'database'],
    ['db', 'database'],
    ['Vault', 'vault'],
    ['VAULT', 'vault'],
    ['READONLY_VAULT', 'vault-read-only'],
    ['readonly_vault', 'vault-read-only'],
  ])('SECRETS_MANAGER=%s is %s', (text, backend) => {
    expect(readConfig({ ...vault, SECRETS_MANAGER: text }).secretsBackend).toBe(backend);
  });

  test('with its names with and without a prefix', () => {
    const env = Object.fromEntries(Object.entries(vault).map(([name, text]) => [`ARCHESTRA_${name}`, text]));
    for (const each of [env, vault]) {
      const { vault: access } = readConfig({ ...each, SECRETS_MANAGER: 'Vault' });
      expect({ ...access, auth: { ...access?.auth, token: undefined } }).toEqual({
        address: 'http://127.0.0.1:8200',
        readOnly: false,
        namespace: undefined,
        caFile: undefined,
        kvVersion: 2,
        secretPath: 'secret/data/archestra',
        auth: { method: 'token', token: undefined },
      });
      expect(access?.auth.method === 'token' && access.auth.token.reveal()).toBe('hvs.0123456789');
    }
  });

  test('and not described: it fails closed, with the reason, unless SECRETS_FALLBACK says otherwise', () => {
    const fault = (missing: string, it: string) =>
      `SECRETS_MANAGER asks for Vault, but ${missing} not set; set ${it}, or SECRETS_FALLBACK=DB to keep secrets in PostgreSQL`;
    expect(faultsOf({ SECRETS_MANAGER: 'Vault' })).toEqual([
      fault('HASHICORP_VAULT_ADDR and HASHICORP_VAULT_TOKEN are', 'them'),
    ]);
    const { HASHICORP_VAULT_ADDR } = vault;
    expect(faultsOf({ SECRETS_MANAGER: 'READONLY_VAULT', HASHICORP_VAULT_ADDR })).toEqual([
      fault('HASHICORP_VAULT_TOKEN is', 'it'),
    ]);
    expect(faultsOf({ SECRETS_MANAGER: 'Vault', HASHICORP_VAULT_ADDR, HASHICORP_VAULT_AUTH_METHOD: 'k8s' })).toEqual([
      fault('HASHICORP_VAULT_K8S_ROLE is', 'it'),
    ]);
    const fallback = { SECRETS_MANAGER: 'Vault', SECRETS_FALLBACK: 'db' };
    expect(readConfig(fallback)).toMatchObject({ secretsBackend: 'database', vault: undefined });
    expect(warningsOf(fallback)).toEqual([
      'SECRETS_MANAGER asks for Vault, but HASHICORP_VAULT_ADDR and HASHICORP_VAULT_TOKEN are not set: by SECRETS_FALLBACK=DB secrets are kept in PostgreSQL.',
    ]);
    expect(readConfig({ ...fallback, ...vault })).toMatchObject({
      secretsBackend: 'vault',
      secretsFallback: 'database',
    });
  });

  test('the settings that came later', () => {
    const { vault: access } = readConfig({
      SECRETS_MANAGER: 'Vault',
      HASHICORP_VAULT_ADDR: 'https://vault.example.com:8200/',
      ARCHESTRA_HASHICORP_VAULT_AUTH_METHOD: 'K8S',
      ARCHESTRA_HASHICORP_VAULT_K8S_ROLE: 'plinth',
      ARCHESTRA_HASHICORP_VAULT_K8S_TOKEN_PATH: '/run/token',
      ARCHESTRA_HASHICORP_VAULT_K8S_MOUNT_POINT: 'kubernetes/eu',
      ARCHESTRA_HASHICORP_VAULT_KV_VERSION: '1',
      ARCHESTRA_HASHICORP_VAULT_SECRET_PATH: '/kv/plinth/',
      HASHICORP_VAULT_NAMESPACE: 'teams/one/',
      HASHICORP_VAULT_CACERT: '/etc/vault/ca.pem',
    });
    expect(access).toEqual({
      address: 'https://vault.example.com:8200',
      readOnly: false,
      namespace: 'teams/one',
      caFile: '/etc/vault/ca.pem',
      kvVersion: 1,
      secretPath: 'kv/plinth',
      auth: { method: 'kubernetes', role: 'plinth', tokenPath: '/run/token', mountPoint: 'kubernetes/eu' },
    });
    expect(faultsOf({ HASHICORP_VAULT_SECRET_PATH: '../sys' })[0]).toContain('wanted is a path in Vault');
    expect(faultsOf({ HASHICORP_VAULT_AUTH_METHOD: 'AWS' })[0]).toContain('one of TOKEN, K8S');
  });

  test('not asked for, an address alone changes nothing, and that is said', () => {
    expect(readConfig(vault)).toMatchObject({ secretsBackend: 'database', vault: undefined });
    expect(noticesOf(vault)).toEqual([
      { level: 'info', text: 'HASHICORP_VAULT_ADDR is set, but SECRETS_MANAGER is DB: Vault is not used.' },
    ]);
  });
});
