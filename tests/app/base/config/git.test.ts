import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { examineSettings, readConfig } from '#base/config.ts';
import { faultsOf, warningsOf } from './faults-of.ts';

const token = { STATE_REPOSITORY_TOKEN: 'ghp_0123456789' };
const hostKey = 'git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ';
const keyText = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n';
const ssh = { STATE_REPOSITORY_SSH_KEY: keyText, STATE_REPOSITORY_KNOWN_HOSTS: hostKey };
const remoteOf = (env: Record<string, string>) => readConfig(env).stateRemote;

test('without an address the repository is in DATA_DIR, and what belongs to a remote is told as unused', () => {
  expect(remoteOf({})).toBeUndefined();
  expect(warningsOf(token)).toEqual([
    'STATE_REPOSITORY_TOKEN does not count: STATE_REPOSITORY_URL is not set, so the state repository is in DATA_DIR.',
  ]);
});

describe('an address', () => {
  test.each([
    ['https://github.com/company/state.git', 'github', 'https://api.github.com', 'x-access-token', 6],
    ['https://github.example.com/company/state', 'github', 'https://github.example.com/api/v3', 'x-access-token', 6],
    ['https://gitlab.com/group/sub/state.git', 'gitlab', 'https://gitlab.com/api/v4', 'oauth2', undefined],
    ['https://codeberg.org/company/state', 'gitea', 'https://codeberg.org/api/v1', 'token', undefined],
    [
      'https://bitbucket.org/company/state.git',
      'bitbucket',
      'https://api.bitbucket.org/2.0',
      'x-token-auth',
      undefined,
    ],
    ['https://git.example.com:8443/state.git', 'plain', undefined, 'git', undefined],
  ])('%s is %s', (url, provider, apiUrl, username, pushesPerMinute) => {
    const remote = remoteOf({ STATE_REPOSITORY_URL: url, ...token });
    expect(remote).toMatchObject({ url, scheme: 'https', provider, apiUrl, pushesPerMinute, pollMs: 60_000 });
    expect(remote?.credential).toMatchObject({ kind: 'token', username });
  });

  test.each([
    ['git@git.example.com:company/state.git', 'git@git.example.com:company/state.git', 'company/state'],
    [
      'ssh://git@git.example.com:2222/company/state.git',
      'ssh://git@git.example.com:2222/company/state.git',
      'company/state',
    ],
    ['ssh://git.example.com/company/state', 'ssh://git@git.example.com/company/state', 'company/state'],
  ])('%s is ssh', (given, url, path) => {
    expect(remoteOf({ STATE_REPOSITORY_URL: given, ...ssh })).toMatchObject({
      url,
      path,
      scheme: 'ssh',
      host: 'git.example.com',
      credential: { kind: 'ssh', knownHosts: `${hostKey}\n` },
    });
  });

  test.each([
    '-oProxyCommand=touch /tmp/x:y',
    '--upload-pack=touch',
    'ext::sh -c touch% /tmp/x',
    'file:///srv/state.git',
    '/srv/state.git',
    'git://git.example.com/state.git',
    'http://git.example.com/state.git',
    'https://git.example.com/state.git?x=1',
    'https://git.example.com/a b.git',
    'https://git.example.com/',
    'ssh://-oProxyCommand=x/state.git',
    'ssh://git@-oProxyCommand=x/state.git',
    'git@-oProxyCommand=x:state.git',
    'git@git.example.com:-x',
    'git@git.example.com:../state.git',
    '$(touch /tmp/x)@git.example.com:state.git',
  ])('%s is refused', (url) => {
    const faults = faultsOf({ STATE_REPOSITORY_URL: url, ...token });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/^STATE_REPOSITORY_URL is .+; wanted is an? /);
  });

  test.each([
    'https://ghp_canary@github.com/company/state.git',
    'https://user:ghp_canary@github.com/company/state.git',
    'ssh://git:ghp_canary@github.com/company/state.git',
    'user:ghp_canary@github.com:company/state.git',
  ])('with a credential in it is refused, and the credential is not repeated', (url) => {
    const { faults, report } = examineSettings({ env: { STATE_REPOSITORY_URL: url } });
    expect(faults).toHaveLength(1);
    expect(JSON.stringify([faults, report])).not.toContain('ghp_canary');
  });

  test('over plain http only on this very machine', () => {
    expect(remoteOf({ STATE_REPOSITORY_URL: 'http://127.0.0.1:3000/a/state.git', ...token })?.scheme).toBe('http');
  });
});

describe('signing in', () => {
  const url = { STATE_REPOSITORY_URL: 'https://git.example.com/company/state.git' };
  const sshUrl = { STATE_REPOSITORY_URL: 'git@git.example.com:company/state.git' };

  test('ssh asks for one key and for the keys of the host', () => {
    const [first, second, ...more] = faultsOf(sshUrl);
    expect(first).toContain('set STATE_REPOSITORY_SSH_KEY or STATE_REPOSITORY_SSH_KEY_FILE');
    expect(second).toContain('STATE_REPOSITORY_KNOWN_HOSTS is not set');
    expect(more).toEqual([]);
    expect(faultsOf({ ...sshUrl, ...ssh, STATE_REPOSITORY_SSH_KEY_FILE: '/run/key' })[0]).toContain('set only one of');
    expect(faultsOf({ ...sshUrl, ...ssh, STATE_REPOSITORY_KNOWN_HOSTS: 'accept-new' })[0]).toContain('ssh-keyscan');
  });

  test('a key on one line and a file of host keys are taken', () => {
    const oneLine = keyText.trim().replaceAll('\n', '\\n');
    const given = {
      ...sshUrl,
      STATE_REPOSITORY_SSH_KEY: oneLine,
      STATE_REPOSITORY_KNOWN_HOSTS: '/etc/plinth/known_hosts',
    };
    const credential = remoteOf(given)?.credential;
    if (credential?.kind !== 'ssh') throw new Error('no ssh');
    expect([credential.key?.reveal(), credential.knownHosts]).toEqual([keyText, '/etc/plinth/known_hosts']);
  });

  test('each scheme takes its own kind of credential', () => {
    expect(faultsOf({ ...sshUrl, ...ssh, ...token })).toEqual([
      'STATE_REPOSITORY_URL is an ssh address, which takes a key and no token; write the https address, or set STATE_REPOSITORY_SSH_KEY instead',
    ]);
    expect(faultsOf({ ...url, ...ssh })[0]).toContain('STATE_REPOSITORY_URL is no ssh address');
    expect(faultsOf({ ...url, STATE_REPOSITORY_USERNAME: 'plinth' })).toEqual([
      'STATE_REPOSITORY_USERNAME is set without STATE_REPOSITORY_TOKEN; set both',
    ]);
    expect(warningsOf(url)).toEqual([
      'No STATE_REPOSITORY_TOKEN is set: Plinth can push only where the remote lets everybody push.',
    ]);
  });

  test('a GitHub App needs all three, and an API', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
    const app = {
      STATE_REPOSITORY_GITHUB_APP_ID: '123',
      STATE_REPOSITORY_GITHUB_APP_INSTALLATION_ID: '456',
      STATE_REPOSITORY_GITHUB_APP_KEY: key,
    };
    const github = { STATE_REPOSITORY_URL: 'https://github.com/company/state.git' };
    expect(remoteOf({ ...github, ...app })?.credential).toMatchObject({
      kind: 'github-app',
      appId: '123',
      installationId: '456',
      apiUrl: 'https://api.github.com',
    });
    expect(faultsOf({ ...github, STATE_REPOSITORY_GITHUB_APP_ID: '123' })[0]).toContain(
      'STATE_REPOSITORY_GITHUB_APP_INSTALLATION_ID and STATE_REPOSITORY_GITHUB_APP_KEY are not set',
    );
    expect(faultsOf({ ...url, ...app })[0]).toContain('STATE_REPOSITORY_PROVIDER=github');
    expect(faultsOf({ ...github, ...app, ...token })[0]).toContain('two ways to sign in');
    const broken = key.replace('MII', 'XII');
    const [fault] = faultsOf({ ...github, ...app, STATE_REPOSITORY_GITHUB_APP_KEY: broken });
    expect(fault).toBe(
      'STATE_REPOSITORY_GITHUB_APP_KEY is a value; wanted is the RSA private key of the GitHub App, as GitHub gives it (PEM, without a passphrase)',
    );
  });
});
