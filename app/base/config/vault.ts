import type { Secret } from '../secret.ts';
import { anyText, httpUrl, oneOf, path, secretText } from './parse.ts';
import type { Findings, Parser, Values } from './setting.ts';
import { setting } from './setting.ts';

/** Who keeps secrets: PostgreSQL, Vault, or people in a Vault that Plinth only reads. */
export type SecretsBackend = 'database' | 'vault' | 'vault-read-only';

/** A path as Vault's API has it, without slashes around it. */
const vaultPath: Parser<string> = (text) => {
  const trimmed = text.trim().replace(/^\/+|\/+$/g, '');
  if (!/^[^\s/?#%]+(\/[^\s/?#%]+)*$/.test(trimmed) || /(^|\/)\.{1,2}(\/|$)/.test(trimmed))
    throw new Error('a path in Vault such as secret/data/plinth');
  return trimmed;
};

/** Where secrets are kept, and how Vault is reached. */
export const vaultRows = {
  secretsManager: setting({
    names: ['SECRETS_MANAGER', 'ARCHESTRA_SECRETS_MANAGER'],
    about:
      'Where secrets are kept: DB (encrypted in PostgreSQL), Vault (HashiCorp Vault or OpenBao, read and write) or READONLY_VAULT (secrets name a path and a key; Plinth only reads). Any case.',
    standard: 'DB',
    read: oneOf<SecretsBackend>({ DB: 'database', Vault: 'vault', READONLY_VAULT: 'vault-read-only' }),
  }),
  secretsFallback: setting({
    names: ['SECRETS_FALLBACK'],
    about: 'DB: where Vault is asked for and cannot be used, secrets are kept in PostgreSQL, with a warning.',
    unset: 'Plinth does not start without the Vault that is asked for',
    read: oneOf<'database'>({ DB: 'database' }),
  }),
  vaultAddress: setting({
    names: ['HASHICORP_VAULT_ADDR', 'ARCHESTRA_HASHICORP_VAULT_ADDR'],
    about: 'Address of Vault, such as https://vault.example.com:8200.',
    unset: 'no Vault',
    read: httpUrl,
  }),
  vaultAuthMethod: setting({
    names: ['HASHICORP_VAULT_AUTH_METHOD', 'ARCHESTRA_HASHICORP_VAULT_AUTH_METHOD'],
    about: 'How Plinth signs in to Vault: TOKEN or K8S (by its service account). Any case.',
    standard: 'TOKEN',
    read: oneOf<'token' | 'kubernetes'>({ TOKEN: 'token', K8S: 'kubernetes' }),
  }),
  vaultToken: setting({
    names: ['HASHICORP_VAULT_TOKEN', 'ARCHESTRA_HASHICORP_VAULT_TOKEN'],
    about: 'Token for Vault, with HASHICORP_VAULT_AUTH_METHOD=TOKEN.',
    unset: 'none',
    secret: true,
    read: secretText,
  }),
  vaultK8sRole: setting({
    names: ['HASHICORP_VAULT_K8S_ROLE', 'ARCHESTRA_HASHICORP_VAULT_K8S_ROLE'],
    about: 'Role in Vault for the service account, with HASHICORP_VAULT_AUTH_METHOD=K8S.',
    unset: 'none',
    read: anyText,
  }),
  vaultK8sTokenPath: setting({
    names: ['HASHICORP_VAULT_K8S_TOKEN_PATH', 'ARCHESTRA_HASHICORP_VAULT_K8S_TOKEN_PATH'],
    about: "File with the service account's token.",
    standard: '/var/run/secrets/kubernetes.io/serviceaccount/token',
    read: path,
  }),
  vaultK8sMountPoint: setting({
    names: ['HASHICORP_VAULT_K8S_MOUNT_POINT', 'ARCHESTRA_HASHICORP_VAULT_K8S_MOUNT_POINT'],
    about: 'Where the Kubernetes auth method is mounted in Vault.',
    standard: 'kubernetes',
    read: vaultPath,
  }),
  vaultKvVersion: setting({
    names: ['HASHICORP_VAULT_KV_VERSION', 'ARCHESTRA_HASHICORP_VAULT_KV_VERSION'],
    about: 'Version of the KV engine: 1 or 2.',
    standard: '2',
    read: oneOf<1 | 2>({ 1: 1, 2: 2, v1: 1, v2: 2 }),
  }),
  vaultSecretPath: setting({
    names: ['HASHICORP_VAULT_SECRET_PATH', 'ARCHESTRA_HASHICORP_VAULT_SECRET_PATH'],
    about: 'Path below which Plinth keeps secrets in Vault, as its API has it: with data/ in KV v2.',
    unset: 'secret/data/archestra in KV v2, secret/archestra in v1: where the policy of a present token reaches',
    read: vaultPath,
  }),
  vaultNamespace: setting({
    names: ['HASHICORP_VAULT_NAMESPACE'],
    about: 'Namespace in Vault, where it has several.',
    unset: 'none',
    read: vaultPath,
  }),
  vaultCaFile: setting({
    names: ['HASHICORP_VAULT_CACERT'],
    about: "PEM file of the authority that signed Vault's certificate.",
    unset: 'the authorities that the system knows',
    read: path,
  }),
};

/** How Vault is reached. */
export interface VaultAccess {
  readonly address: string;
  /** Nothing is ever written. */
  readonly readOnly: boolean;
  readonly namespace: string | undefined;
  /** Path of a PEM file. */
  readonly caFile: string | undefined;
  readonly kvVersion: 1 | 2;
  /** With `data/` in KV v2, as the API has it. */
  readonly secretPath: string;
  readonly auth:
    | { readonly method: 'token'; readonly token: Secret }
    | {
        readonly method: 'kubernetes';
        readonly role: string;
        /** File with the service account's token; read at each login, since the cluster changes it. */
        readonly tokenPath: string;
        /** Where the auth method is mounted. */
        readonly mountPoint: string;
      };
}

/** What keeps secrets in effect. `vault` is there only for a backend that uses it. */
export interface SecretsPlace {
  readonly secretsBackend: SecretsBackend;
  readonly vault: VaultAccess | undefined;
}

/** Fails closed: a Vault that is asked for and not described is a fault, unless SECRETS_FALLBACK says otherwise. */
export function secretsPlace(values: Values<typeof vaultRows>, findings: Findings): SecretsPlace {
  const { secretsManager: asked, secretsFallback: fallback, vaultAddress } = values;
  if (asked === 'database') {
    if (vaultAddress !== undefined)
      findings.info('HASHICORP_VAULT_ADDR is set, but SECRETS_MANAGER is DB: Vault is not used.');
    return { secretsBackend: 'database', vault: undefined };
  }
  const missing = missingFor(values);
  if (vaultAddress !== undefined && missing.length === 0)
    return { secretsBackend: asked, vault: accessOf(vaultAddress, values, asked === 'vault-read-only') };
  const names = missing.map((field) => vaultRows[field].names[0]).join(' and ');
  const verb = missing.length === 1 ? 'is' : 'are';
  if (fallback === undefined) {
    findings.fault(
      missing,
      `SECRETS_MANAGER asks for Vault, but ${names} ${verb} not set; set ${missing.length === 1 ? 'it' : 'them'}, or SECRETS_FALLBACK=DB to keep secrets in PostgreSQL`,
    );
    return { secretsBackend: asked, vault: undefined };
  }
  findings.warn(
    `SECRETS_MANAGER asks for Vault, but ${names} ${verb} not set: by SECRETS_FALLBACK=DB secrets are kept in PostgreSQL.`,
  );
  return { secretsBackend: 'database', vault: undefined };
}

function missingFor({ vaultAddress, vaultAuthMethod, vaultToken, vaultK8sRole }: Values<typeof vaultRows>) {
  const missing: (keyof typeof vaultRows)[] = [];
  if (vaultAddress === undefined) missing.push('vaultAddress');
  if (vaultAuthMethod === 'token' && vaultToken === undefined) missing.push('vaultToken');
  if (vaultAuthMethod === 'kubernetes' && vaultK8sRole === undefined) missing.push('vaultK8sRole');
  return missing;
}

function accessOf(address: string, values: Values<typeof vaultRows>, readOnly: boolean): VaultAccess {
  const { vaultKvVersion: kvVersion, vaultToken: token, vaultK8sRole: role } = values;
  return {
    address,
    readOnly,
    namespace: values.vaultNamespace,
    caFile: values.vaultCaFile,
    kvVersion,
    secretPath: values.vaultSecretPath ?? (kvVersion === 2 ? 'secret/data/archestra' : 'secret/archestra'),
    auth:
      token !== undefined && values.vaultAuthMethod === 'token'
        ? { method: 'token', token }
        : {
            method: 'kubernetes',
            role: role ?? '',
            tokenPath: values.vaultK8sTokenPath,
            mountPoint: values.vaultK8sMountPoint,
          },
  };
}
