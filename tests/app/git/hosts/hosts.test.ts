import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { CommitStatus } from '#git/git-host.ts';
import { createGitHost, type GitHostOptions, type OpenGitHost } from '#git/git-host.ts';
import {
  type PlayedHost,
  type PlayedKind,
  playedRepository,
  playedToken,
  startPlayedHost,
} from '#support/played-hosts.ts';

const revision = '0123456789abcdef0123456789abcdef01234567';
const status: CommitStatus = {
  revision,
  context: 'plinth/production/applied',
  state: 'pending',
  description: 'blog/web is being applied',
  url: 'https://plinth.example.com/changes',
};
const now = new Date('2026-11-22T10:00:00Z');
const clock: Clock = { ...systemClock, now: () => now };

const open: OpenGitHost[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((host) => host.close()));
});

const hostAt = (kind: PlayedKind, apiUrl: string, more: Partial<GitHostOptions> = {}): OpenGitHost => {
  const credential = async () => new Secret(playedToken);
  const host = createGitHost({ kind, apiUrl, repository: playedRepository[kind], credential, clock, ...more });
  open.push(host);
  return host;
};

/** The fault that a promise ends with. */
async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!Fault.is(error)) throw new Error(`no fault but ${String(error)}`);
  return error;
}

const words = {
  github: { pending: 'pending', success: 'success', failure: 'failure' },
  gitlab: { pending: 'running', success: 'success', failure: 'failed' },
  bitbucket: { pending: 'INPROGRESS', success: 'SUCCESSFUL', failure: 'FAILED' },
} as const;

describe.each(['github', 'gitlab', 'bitbucket'] as const)('%s', (kind) => {
  let played: PlayedHost;
  beforeAll(async () => {
    played = await startPlayedHost(kind);
  });
  afterAll(() => played.close());

  test('every state is said in its words, and the same again is no fault', async () => {
    const host = hostAt(kind, played.apiUrl);
    for (const state of ['pending', 'pending', 'failure', 'success'] as const)
      await host.setStatus({ ...status, state });
    const { url, description, context } = status;
    const said = (state: keyof (typeof words)[typeof kind]) => ({
      revision,
      context,
      state: words[kind][state],
      description,
      url,
    });
    const twice = kind === 'gitlab' ? [said('pending')] : [said('pending'), said('pending')];
    expect(played.statuses).toEqual([...twice, said('failure'), said('success')]);
  });

  test('a description is one line of at most 140 characters; none of them is cut in two', async () => {
    const host = hostAt(kind, played.apiUrl);
    await host.setStatus({ ...status, state: 'failure', description: `a\n\tb ${'🙂'.repeat(200)}` });
    expect(played.statuses.at(-1)?.description).toBe(`a b ${'🙂'.repeat(135)}…`);
  });

  test('without an address, too', async () => {
    await hostAt(kind, played.apiUrl).setStatus({ ...status, state: 'success', url: undefined });
    const wanted = kind === 'bitbucket' ? `${played.apiUrl}/repositories/acme/state/commit/${revision}` : undefined;
    expect(played.statuses.at(-1)?.url).toBe(wanted);
  });

  test.each([
    [401, 'put a new one in its place'],
    [403, 'may not set commit statuses'],
    [404, 'STATE_REPOSITORY_API_URL or the repository is wrong'],
    [422, 'This is not a matter of the credential'],
  ])('%i is final, says the fix and not the credential', async (code, fix) => {
    played.answerNext({ status: code, body: { message: `no, ${playedToken} is wrong` } });
    const fault = await faultOf(hostAt(kind, played.apiUrl).setStatus(status));
    expect([fault.code, fault.retry, fault.data.status]).toEqual(['GIT_HOST_REFUSED', false, code]);
    expect(fault.message).toContain(fix);
    expect(fault.message).toContain('no, [secret] is wrong');
    expect(JSON.stringify([fault.message, fault.data, String(fault.cause)])).not.toContain(playedToken);
  });

  test('a wrong credential is told by the host itself', async () => {
    const fault = await faultOf(
      hostAt(kind, played.apiUrl, { credential: async () => new Secret('old') }).setStatus(status),
    );
    expect([fault.code, fault.data.status]).toEqual(['GIT_HOST_REFUSED', 401]);
  });

  const seconds = now.getTime() / 1000;
  test.each([
    ['Retry-After in seconds', 429, { 'retry-after': '17' }, 17_000],
    ['Retry-After as a date', 503, { 'retry-after': new Date(now.getTime() + 30_000).toUTCString() }, 30_000],
    ['a budget that is spent', 403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${seconds + 90}` }, 90_000],
    ['a window of GitLab', 429, { 'ratelimit-remaining': '0', 'ratelimit-reset': `${seconds + 45}` }, 45_000],
    ['a limit without a time', 429, {}, 60_000],
    ['a pause that nobody would wait for', 429, { 'retry-after': '999999999' }, 3_600_000],
    ['an error of its own', 502, {}, undefined],
  ] as const)('%s: to be tried again', async (_, code, headers, afterMs) => {
    played.answerNext({ status: code, headers, body: '<html><body>Bad   gateway</body></html>' });
    const fault = await faultOf(hostAt(kind, played.apiUrl).setStatus(status));
    expect([fault.code, fault.retry, fault.data.afterMs]).toEqual(['GIT_HOST_UNAVAILABLE', true, afterMs]);
    expect(fault.message).toContain('(Bad gateway)');
  });

  test('a credential is not sent on to where the host points', async () => {
    const other = await startPlayedHost(kind);
    played.answerNext({ status: 307, headers: { location: `${other.apiUrl}/anything` } });
    const fault = await faultOf(hostAt(kind, played.apiUrl).setStatus(status));
    expect(fault.code).toBe('GIT_HOST_REFUSED');
    expect(fault.message).toContain(`It points to ${new URL(other.apiUrl).host}, where the credential is not sent`);
    expect(other.asked).toEqual([]);
    await other.close();
  });

  test('an answer without end, one that never comes and a host that is away are to be tried again', async () => {
    played.answerNext({ status: 500, body: 'x'.repeat(8 * 1024 * 1024) });
    const large = await faultOf(hostAt(kind, played.apiUrl).setStatus(status));
    expect([large.code, large.message.length < 500]).toEqual(['GIT_HOST_UNAVAILABLE', true]);
    played.answerNext({ status: 201, afterMs: 60_000 });
    const slow = await faultOf(hostAt(kind, played.apiUrl, { timeoutMs: 50 }).setStatus(status));
    expect([slow.code, slow.message]).toEqual([
      'GIT_HOST_UNAVAILABLE',
      expect.stringContaining('did not answer within'),
    ]);
    const away = await startPlayedHost(kind);
    await away.close();
    const gone = await faultOf(hostAt(kind, away.apiUrl).setStatus(status));
    expect([gone.code, gone.message]).toEqual(['GIT_HOST_UNAVAILABLE', expect.stringContaining('ECONNREFUSED')]);
  });

  test('whoever stops waiting is told so', async () => {
    played.answerNext({ status: 201, afterMs: 60_000 });
    const stop = new AbortController();
    const waiting = hostAt(kind, played.apiUrl).setStatus(status, stop.signal);
    stop.abort(new Fault('STOPPING'));
    expect((await faultOf(waiting)).code).toBe('STOPPING');
  });
});

test('a context longer than the key of Bitbucket keeps a key of its own and its name', async () => {
  const played = await startPlayedHost('bitbucket');
  const host = hostAt('bitbucket', played.apiUrl);
  const long = 'plinth/environment/applied-and-much-more-than-that';
  for (const context of [long, `${long}-2`, long]) await host.setStatus({ ...status, context });
  const keys = played.statuses.map(({ context }) => context);
  expect(keys.map((key) => key.length)).toEqual([40, 40, 40]);
  expect([keys[0] === keys[2], keys[0] === keys[1]]).toEqual([true, false]);
  await played.close();
});

test.each([
  ['github', 'state'],
  ['github', 'acme/platform/state'],
  ['gitea', '../admin'],
  ['gitlab', 'acme//state'],
  ['gitlab', 'acme/..'],
  ['bitbucket', 'acme/state?x=1'],
] as const)('%s: %s is no repository', (kind, repository) => {
  const credential = async () => new Secret(playedToken);
  expect(() => createGitHost({ kind, apiUrl: 'http://127.0.0.1:1', repository, credential, clock })).toThrow(
    'wanted is owner/name',
  );
});
