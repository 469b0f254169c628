import { createPublicKey, createVerify, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { StateRemote } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { commit } from '#git/commit.ts';
import { createRemoteCredentials } from '#git/credentials.ts';
import { openRepository } from '#git/repository.ts';
import { newCommit, silent } from '#support/git.ts';
import { useRemoteHost } from '#support/git-remote.ts';
import { temporaryDirectory } from '#support/temporary.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();

/** GitHub's side of making tokens: checks the App's proof and gives a new token each time. */
async function playGitHub() {
  const asked: { path: string; claims: Record<string, unknown>; valid: boolean }[] = [];
  const state = {
    status: 201,
    lifeMs: 3_600_000,
    nowMs: Date.parse('2026-03-01T12:00:00Z'),
    redirectTo: '',
    answer: '',
  };
  const server = createServer((request, response) => {
    const [head = '', body = '', signature = ''] = (request.headers.authorization ?? '')
      .replace('Bearer ', '')
      .split('.');
    const valid = createVerify('RSA-SHA256')
      .update(`${head}.${body}`)
      .verify(createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })), signature, 'base64url');
    asked.push({
      path: `${request.method} ${request.url}`,
      claims: JSON.parse(Buffer.from(body, 'base64url').toString('utf8')),
      valid,
    });
    if (state.redirectTo !== '') return void response.writeHead(307, { location: state.redirectTo }).end();
    const expires = new Date(state.nowMs + state.lifeMs).toISOString().replace('.000Z', 'Z');
    response.writeHead(state.status, { 'content-type': 'application/json' });
    response.end(state.answer || JSON.stringify({ token: `ghs_${asked.length}`, expires_at: expires }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
  const clock = { now: () => new Date(state.nowMs), monotonicMs: () => state.nowMs, sleep: async () => {} };
  const credential = {
    kind: 'github-app',
    appId: '123',
    installationId: '456',
    key: new Secret(pem),
    apiUrl,
  } as const;
  const remote: StateRemote = {
    url: 'https://github.com/company/state.git',
    scheme: 'https',
    host: 'github.com',
    path: 'company/state',
    provider: 'github',
    apiUrl,
    credential,
    caFile: undefined,
    pollMs: 60_000,
    pushesPerMinute: 6,
    webhookSecret: undefined,
  };
  return { asked, state, clock, remote, credential };
}

test('a GitHub App proves itself and gets a token, which is kept until five minutes before its end', async () => {
  const { asked, state, clock, remote } = await playGitHub();
  const credentials = createRemoteCredentials(remote, clock);
  const tokens = await Promise.all([credentials.signIn(), credentials.signIn()]);
  expect(tokens.map((one) => [one?.username, one?.password.reveal()])).toEqual([
    ['x-access-token', 'ghs_1'],
    ['x-access-token', 'ghs_1'],
  ]);
  const nowS = state.nowMs / 1000;
  expect(asked).toEqual([
    {
      path: 'POST /app/installations/456/access_tokens',
      claims: { iat: nowS - 60, exp: nowS + 540, iss: '123' },
      valid: true,
    },
  ]);
  state.nowMs += 3_600_000 - 5 * 60_000 - 1;
  expect((await credentials.signIn())?.password.reveal()).toBe('ghs_1');
  state.nowMs += 1;
  expect((await credentials.signIn())?.password.reveal()).toBe('ghs_2');
  expect(credentials.wasRefused()).toBe(true);
  expect((await credentials.signIn())?.password.reveal()).toBe('ghs_3');
});

test('what goes wrong says whether trying again helps, and holds neither key nor proof', async () => {
  const { state, clock, remote } = await playGitHub();
  const credentials = createRemoteCredentials(remote, clock);
  const faultOf = async () => {
    const error = await credentials.signIn().catch((one: unknown) => one);
    if (!Fault.is(error)) throw new Error(`not a fault: ${error}`);
    return error;
  };
  state.status = 401;
  const refused = await faultOf();
  expect([refused.code, refused.message.includes('STATE_REPOSITORY_GITHUB_APP_ID')]).toEqual(['REMOTE_REFUSED', true]);
  state.status = 502;
  expect((await faultOf()).code).toBe('REMOTE_UNAVAILABLE');
  state.status = 201;
  state.answer = '{"token": ""}';
  expect((await faultOf()).code).toBe('REMOTE_REFUSED');
  state.redirectTo = 'http://127.0.0.1:1/elsewhere';
  const moved = await faultOf();
  expect(moved.code).toBe('REMOTE_UNAVAILABLE');
  const said = [refused, moved].map((fault) => `${fault.stack} ${JSON.stringify(fault.cause)}`).join('\n');
  expect(said).not.toContain('Bearer');
  expect(said).not.toContain('PRIVATE KEY');
});

test('git signs in with the token of an App; one that the host refuses is replaced once', async () => {
  const { asked, clock, credential } = await playGitHub();
  const host = await useRemoteHost({ username: 'x-access-token', password: 'ghs_1' });
  const { path, remove } = temporaryDirectory('plinth-app');
  onTestFinished(remove);
  const repository = await openRepository({
    directory: join(path, 'state.git'),
    branch: 'main',
    log: silent,
    clock: { ...clock, sleep: () => new Promise(() => {}) },
    remote: host.settings({ credential }),
  });
  onTestFinished(() => repository.close());
  const write = async (text: string) =>
    (await commit(repository, { expected: await repository.tip(), commits: [newCommit({ 'a.txt': text })] }))[0];
  expect(await write('1')).toBe(await host.tip());
  expect(asked).toHaveLength(1);
  host.signIn = { username: 'x-access-token', password: 'ghs_2' };
  expect(await write('2')).toBe(await host.tip());
  expect(asked).toHaveLength(2);
  host.signIn = { username: 'x-access-token', password: 'another' };
  await expect(write('3')).rejects.toThrow('refuses Plinth');
  expect(asked).toHaveLength(3);
});
