import { createPrivateKey } from 'node:crypto';
import { Secret } from '../secret.ts';
import { type GitAddress, parseGitAddress } from './git-address.ts';
import { anyText, httpUrl, oneOf, path, secretText, wholeNumber } from './parse.ts';
import type { Findings, Parser, Values } from './setting.ts';
import { setting } from './setting.ts';

/** Whose ways a remote has: limits, user names, addresses of its API. `plain`: any Git server. */
export type GitProvider = 'github' | 'gitlab' | 'gitea' | 'bitbucket' | 'plain';

/** A PEM text, also on one line with `\n` for its line breaks, as .env files have it. */
const pem: Parser<Secret> = (text, reading) => {
  const value = secretText(text.includes('\\n') ? text.replaceAll('\\n', '\n') : text, reading).reveal();
  if (!/^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(value.trim()))
    throw new Error('a private key that begins with -----BEGIN … PRIVATE KEY-----');
  return new Secret(`${value.trim()}\n`);
};

const rsaKey: Parser<Secret> = (text, reading) => {
  const key = pem(text, reading);
  try {
    if (createPrivateKey(key.reveal()).asymmetricKeyType === 'rsa') return key;
  } catch {
    // Said below, without what the library quotes.
  }
  throw new Error('the RSA private key of the GitHub App, as GitHub gives it (PEM, without a passphrase)');
};

/** Lines of a known_hosts file, or the path of one. */
const knownHosts: Parser<string> = (text, reading) => {
  const given = text.trim().replaceAll('\\n', '\n');
  if (/^(\/|~\/)[^\n ]+$/.test(given)) return path(given, reading);
  const lines = given.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  if (
    lines.length === 0 ||
    !lines.every((line) => /^(@cert-authority )?\S+ [a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$/.test(line))
  )
    throw new Error(
      'lines such as `git.example.com ssh-ed25519 AAAA…` (ssh-keyscan prints them), or the path of such a file',
    );
  return `${lines.join('\n')}\n`;
};

const digits: Parser<string> = (text) => {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(text.trim())) throw new Error('the id as GitHub shows it');
  return text.trim();
};

/** Where the state repository lives, when not in DATA_DIR. */
export const gitRows = {
  stateRepositoryUrl: setting<GitAddress>({
    names: ['STATE_REPOSITORY_URL'],
    about:
      'Git remote that holds the state repository (https, ssh or user@host:path), without credentials in it. DATA_DIR then keeps a mirror.',
    unset: 'a repository in DATA_DIR, which Plinth serves itself',
    read: parseGitAddress,
  }),
  stateRepositoryProvider: setting<GitProvider>({
    names: ['STATE_REPOSITORY_PROVIDER'],
    about: 'What kind of host it is: github, gitlab, gitea, bitbucket or plain (any Git server).',
    unset: 'told by the name of the host, else plain',
    read: oneOf<GitProvider>({
      github: 'github',
      gitlab: 'gitlab',
      gitea: 'gitea',
      bitbucket: 'bitbucket',
      plain: 'plain',
    }),
  }),
  stateRepositoryToken: setting({
    names: ['STATE_REPOSITORY_TOKEN'],
    about: 'Token for the remote over https: it must be allowed to read and push.',
    unset: 'none',
    secret: true,
    read: secretText,
  }),
  stateRepositoryUsername: setting({
    names: ['STATE_REPOSITORY_USERNAME'],
    about: 'User that belongs to STATE_REPOSITORY_TOKEN, where the host asks for a certain one.',
    unset: 'what the kind of host takes for tokens',
    read: anyText,
  }),
  stateRepositorySshKey: setting({
    names: ['STATE_REPOSITORY_SSH_KEY'],
    about: 'Private key for the remote over ssh, such as a deploy key with write access, without a passphrase.',
    unset: 'none',
    secret: true,
    read: pem,
  }),
  stateRepositorySshKeyFile: setting({
    names: ['STATE_REPOSITORY_SSH_KEY_FILE'],
    about: 'File with the private key, instead of the key itself. A changed file counts from the next request on.',
    unset: 'none',
    read: path,
  }),
  stateRepositoryKnownHosts: setting({
    names: ['STATE_REPOSITORY_KNOWN_HOSTS'],
    about:
      "The host's keys over ssh, as lines of a known_hosts file or the path of one. Only these are believed; nothing is learned.",
    unset: 'none; over ssh it must be set',
    read: knownHosts,
  }),
  stateRepositoryGithubAppId: setting({
    names: ['STATE_REPOSITORY_GITHUB_APP_ID'],
    about: 'Id of a GitHub App that signs in instead of a token: its tokens live for an hour and are renewed.',
    unset: 'no GitHub App',
    read: digits,
  }),
  stateRepositoryGithubAppInstallationId: setting({
    names: ['STATE_REPOSITORY_GITHUB_APP_INSTALLATION_ID'],
    about: 'Id of the installation of that App that may write the repository.',
    unset: 'none',
    read: digits,
  }),
  stateRepositoryGithubAppKey: setting({
    names: ['STATE_REPOSITORY_GITHUB_APP_KEY'],
    about: 'Private key of that App (PEM).',
    unset: 'none',
    secret: true,
    read: rsaKey,
  }),
  stateRepositoryCaFile: setting({
    names: ['STATE_REPOSITORY_CA_FILE'],
    about: "PEM file of the authority that signed the remote's certificate.",
    unset: 'the authorities that the system knows',
    read: path,
  }),
  stateRepositoryPollSeconds: setting({
    names: ['STATE_REPOSITORY_POLL_SECONDS'],
    about: 'How often the remote is asked for new commits. Webhooks only make it sooner.',
    standard: '60',
    read: wholeNumber(5, 3600),
  }),
  stateRepositoryPushesPerMinute: setting({
    names: ['STATE_REPOSITORY_PUSHES_PER_MINUTE'],
    about: 'At the most so many pushes a minute; what people wish goes before what is only rendered anew.',
    unset: '6 on GitHub, which asks for it; elsewhere no limit',
    read: wholeNumber(1, 6000),
  }),
  stateRepositoryApiUrl: setting({
    names: ['STATE_REPOSITORY_API_URL'],
    about: "Address of the host's API, for commit statuses and GitHub Apps.",
    unset: 'what the kind of host has by its address',
    read: httpUrl,
  }),
  stateRepositoryApiToken: setting({
    names: ['STATE_REPOSITORY_API_TOKEN'],
    about:
      "Token for the host's API, where the one for Git may not set commit statuses or Git goes over ssh. At Bitbucket also `e-mail:token`.",
    unset: 'STATE_REPOSITORY_TOKEN or the GitHub App; without any, no commit statuses are set',
    secret: true,
    read: secretText,
  }),
  stateRepositoryWebhookSecret: setting({
    names: ['STATE_REPOSITORY_WEBHOOK_SECRET'],
    about: 'Secret that the host signs its webhooks with.',
    unset: 'webhooks are refused; polling finds every commit',
    secret: true,
    read: secretText,
  }),
};

/** How Plinth signs in at a remote. */
export type RemoteCredential =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly username: string; readonly token: Secret }
  | {
      readonly kind: 'github-app';
      readonly appId: string;
      readonly installationId: string;
      readonly key: Secret;
      /** Where tokens are asked for. */
      readonly apiUrl: string;
    }
  | {
      readonly kind: 'ssh';
      readonly key: Secret | undefined;
      /** Read before each request; undefined where `key` is given. */
      readonly keyFile: string | undefined;
      /** Lines of a known_hosts file, or its path (which begins with a slash). */
      readonly knownHosts: string;
    };

/** The remote that holds the state repository, and how it is used. */
export interface StateRemote {
  /** Without credentials; goes into messages. */
  readonly url: string;
  /** `file` is for tests: no setting leads there. */
  readonly scheme: GitAddress['scheme'] | 'file';
  readonly host: string;
  /** `company/state`, as the host's API names it. */
  readonly path: string;
  readonly provider: GitProvider;
  /** Undefined: the kind of host has none that is known. */
  readonly apiUrl: string | undefined;
  readonly credential: RemoteCredential;
  /** Path of a PEM file. */
  readonly caFile: string | undefined;
  readonly pollMs: number;
  /** Undefined: no limit. */
  readonly pushesPerMinute: number | undefined;
  readonly webhookSecret: Secret | undefined;
  /** For the host's API alone; undefined: what `credential` has. */
  readonly apiToken?: Secret | undefined;
}

/** The remote, whole, or undefined where the repository is in DATA_DIR. Each fault names the setting that mends it. */
export function stateRemote(values: Values<typeof gitRows>, findings: Findings): StateRemote | undefined {
  const address = values.stateRepositoryUrl;
  if (address === undefined) {
    const others = Object.entries(gitRows).filter(
      ([field, row]) => row.standard === undefined && values[field as keyof typeof gitRows] !== undefined, // its own keys
    );
    if (others.length > 0)
      findings.warn(
        `${others.map(([, row]) => row.names[0]).join(', ')} ${others.length === 1 ? 'does' : 'do'} not count: STATE_REPOSITORY_URL is not set, so the state repository is in DATA_DIR.`,
      );
    return undefined;
  }
  const provider = values.stateRepositoryProvider ?? providerOf(address.host);
  const apiUrl = values.stateRepositoryApiUrl ?? apiOf(provider, address);
  const credential = credentialOf(address, provider, apiUrl, values, findings);
  if (values.stateRepositoryCaFile !== undefined && address.scheme !== 'https')
    findings.warn('STATE_REPOSITORY_CA_FILE does not count: STATE_REPOSITORY_URL is not an https address.');
  return {
    url: address.url,
    scheme: address.scheme,
    host: address.host,
    path: address.path,
    provider,
    apiUrl,
    credential,
    caFile: values.stateRepositoryCaFile,
    pollMs: values.stateRepositoryPollSeconds * 1000,
    pushesPerMinute: values.stateRepositoryPushesPerMinute ?? (provider === 'github' ? 6 : undefined),
    webhookSecret: values.stateRepositoryWebhookSecret,
    apiToken: values.stateRepositoryApiToken,
  };
}

/** By the host's name: the public ones, and companies' own that are called after what they run. */
function providerOf(host: string): GitProvider {
  if (host === 'github.com' || host === 'ssh.github.com' || host.endsWith('.ghe.com')) return 'github';
  if (host === 'bitbucket.org') return 'bitbucket';
  if (host === 'codeberg.org') return 'gitea';
  const [first = ''] = host.split('.');
  const known: Readonly<Record<string, GitProvider>> = {
    github: 'github',
    gitlab: 'gitlab',
    gitea: 'gitea',
    forgejo: 'gitea',
  };
  return known[first] ?? 'plain';
}

function apiOf(provider: GitProvider, { host, port, scheme }: GitAddress): string | undefined {
  const web = scheme === 'ssh' ? `https://${host}` : `${scheme}://${host}${port === undefined ? '' : `:${port}`}`;
  if (provider === 'github') return /(^|\.)github\.com$/.test(host) ? 'https://api.github.com' : `${web}/api/v3`;
  if (provider === 'gitlab') return `${web}/api/v4`;
  if (provider === 'gitea') return `${web}/api/v1`;
  if (provider === 'bitbucket') return 'https://api.bitbucket.org/2.0';
  return undefined;
}

/** What each kind of host takes as the user of a token. */
const tokenUsers: Readonly<Record<GitProvider, string>> = {
  github: 'x-access-token',
  gitlab: 'oauth2',
  gitea: 'token',
  bitbucket: 'x-token-auth',
  plain: 'git',
};

function credentialOf(
  { scheme }: GitAddress,
  provider: GitProvider,
  apiUrl: string | undefined,
  values: Values<typeof gitRows>,
  findings: Findings,
): RemoteCredential {
  const { stateRepositoryToken: token, stateRepositorySshKey: key, stateRepositorySshKeyFile: keyFile } = values;
  const app = appOf(apiUrl, values, findings);
  if (scheme === 'ssh') {
    if (token !== undefined || app !== undefined)
      findings.fault(
        ['stateRepositoryToken', 'stateRepositoryUrl'],
        'STATE_REPOSITORY_URL is an ssh address, which takes a key and no token; write the https address, or set STATE_REPOSITORY_SSH_KEY instead',
      );
    return sshOf(values, findings);
  }
  if (key !== undefined || keyFile !== undefined)
    findings.fault(
      ['stateRepositorySshKey', 'stateRepositorySshKeyFile', 'stateRepositoryUrl'],
      'STATE_REPOSITORY_SSH_KEY is set, but STATE_REPOSITORY_URL is no ssh address; write git@host:path, or set STATE_REPOSITORY_TOKEN instead',
    );
  if (app !== undefined && token !== undefined)
    findings.fault(
      ['stateRepositoryToken', 'stateRepositoryGithubAppId'],
      'STATE_REPOSITORY_TOKEN and STATE_REPOSITORY_GITHUB_APP_ID are two ways to sign in; keep one of them',
    );
  if (app !== undefined) return app;
  if (token !== undefined)
    return { kind: 'token', username: values.stateRepositoryUsername ?? tokenUsers[provider], token };
  if (values.stateRepositoryUsername !== undefined)
    findings.fault(
      ['stateRepositoryUsername', 'stateRepositoryToken'],
      'STATE_REPOSITORY_USERNAME is set without STATE_REPOSITORY_TOKEN; set both',
    );
  else findings.warn('No STATE_REPOSITORY_TOKEN is set: Plinth can push only where the remote lets everybody push.');
  return { kind: 'none' };
}

function sshOf(values: Values<typeof gitRows>, findings: Findings): RemoteCredential {
  const { stateRepositorySshKey: key, stateRepositorySshKeyFile: keyFile, stateRepositoryKnownHosts: known } = values;
  if ((key === undefined) === (keyFile === undefined))
    findings.fault(
      ['stateRepositorySshKey', 'stateRepositorySshKeyFile'],
      `over ssh Plinth signs in with one private key; set ${key === undefined ? 'STATE_REPOSITORY_SSH_KEY or STATE_REPOSITORY_SSH_KEY_FILE' : 'only one of STATE_REPOSITORY_SSH_KEY and STATE_REPOSITORY_SSH_KEY_FILE'}`,
    );
  if (known === undefined)
    findings.fault(
      ['stateRepositoryKnownHosts'],
      'STATE_REPOSITORY_URL is an ssh address, and STATE_REPOSITORY_KNOWN_HOSTS is not set: without it Plinth could not tell the host from an impostor; set it to what ssh-keyscan prints, after comparing it with what the host publishes',
    );
  return { kind: 'ssh', key, keyFile: key === undefined ? keyFile : undefined, knownHosts: known ?? '' };
}

function appOf(apiUrl: string | undefined, values: Values<typeof gitRows>, findings: Findings) {
  const fields = [
    'stateRepositoryGithubAppId',
    'stateRepositoryGithubAppInstallationId',
    'stateRepositoryGithubAppKey',
  ] as const;
  const missing = fields.filter((field) => values[field] === undefined);
  if (missing.length === fields.length) return undefined;
  const { stateRepositoryGithubAppId: appId, stateRepositoryGithubAppInstallationId: installationId } = values;
  const key = values.stateRepositoryGithubAppKey;
  if (appId === undefined || installationId === undefined || key === undefined)
    findings.fault(
      [...fields],
      `a GitHub App needs all of ${fields.map((field) => gitRows[field].names[0]).join(', ')}; ${missing.map((field) => gitRows[field].names[0]).join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not set`,
    );
  else if (apiUrl === undefined)
    findings.fault(
      ['stateRepositoryApiUrl', 'stateRepositoryProvider'],
      'a GitHub App asks the API of GitHub for its tokens; set STATE_REPOSITORY_PROVIDER=github, or STATE_REPOSITORY_API_URL',
    );
  else return { kind: 'github-app', appId, installationId, key, apiUrl } as const;
  return undefined;
}
