import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { GitProvider, StateRemote } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Branch, MoveOptions } from './branch.ts';
import { createRemoteCredentials, type RemoteCredentials } from './credentials.ts';
import type { ObjectReader } from './objects.ts';
import type { Git, GitResult } from './process.ts';
import { createTransport, type Transport } from './remote/transport.ts';

/** The remote that holds the state repository; what is here is its mirror. */
export interface Remote {
  /** Without credentials. */
  readonly url: string;
  readonly provider: GitProvider;
  /** Undefined: no limit. */
  readonly pushesPerMinute: number | undefined;
  /**
   * Asks the remote for its branch and follows it, whatever it is. True: the tip moved. Who asks while somebody does
   * waits for the same answer, unless that was asked for before `sinceMs` of the monotonic clock.
   * @throws Fault REMOTE_UNAVAILABLE | REMOTE_REFUSED | REMOTE_UNTRUSTED | REMOTE_UNUSABLE | DISK_FULL
   */
  fetch(signal?: AbortSignal, sinceMs?: number): Promise<boolean>;
  /** Why it could not be used the last time; undefined: it works. */
  problem(): Fault | undefined;
  /** False: the last look failed, so that nothing can be written either. A remote that only declines pushes is there. */
  isThere(): boolean;
  /** For the host's API. */
  readonly credentials: RemoteCredentials;
}

/** A remote, and the branch that is moved there first. */
export interface RemoteBranch extends Remote {
  /** Pushes `to` where the remote is at `from`, then moves the mirror. @see Branch */
  readonly head: Branch;
  /** Brings the remote's branch without following it: its revision, or undefined where it has none. */
  look(): Promise<string | undefined>;
  /** Pushes what the mirror has already, where the remote is at `from`. */
  publish(from: string | undefined, to: string): Promise<void>;
  /** True when `older` is `newer` or one of its ancestors; both are here. */
  goesOnFrom(older: string, newer: string): Promise<boolean>;
}

export interface RemoteOptions {
  readonly git: Git;
  readonly objects: ObjectReader;
  /** The mirror's own branch. */
  readonly local: Branch;
  readonly branch: string;
  readonly remote: StateRemote;
  readonly clock: Clock;
  readonly log: Log;
  /** The most bytes that one fetch may bring. */
  readonly mostBytes?: number;
  /** Absent: nothing is measured. */
  readonly metrics?: Pick<Metrics, 'gitSeconds'> | undefined;
}

const fetchTimeoutMs = 600_000;
const pushTimeoutMs = 60_000;
const standardMostBytes = 2 ** 31;
/** Where a fetch leaves what the remote has; hidden from those who clone the mirror. */
const seenRef = 'refs/plinth/remote';
const mostTries = 5;

/** Talks with a remote. One push at a time; what a fetch saw counts only if no push of ours came in between. */
export async function createRemote(options: RemoteOptions): Promise<RemoteBranch> {
  const { git, objects, local, branch, remote, clock, log } = options;
  const { url } = remote;
  const credentials = createRemoteCredentials(remote, clock);
  const transport = await createTransport({ git, remote, credentials });
  const tipOf = async (ref: string) => (await objects.info(ref))?.id;
  const tip = () => tipOf(`refs/heads/${branch}`);
  const network = createTurns();
  const moves = createTurns();
  let away: Fault | undefined;
  /** Pushes are refused while everything can be read: said until one is taken. */
  let declined: Fault | undefined;
  let asking: { readonly sinceMs: number; readonly answer: Promise<boolean> } | undefined;

  const problem = () => away ?? declined;
  const note = (now: { away?: Fault | undefined; declined?: Fault | undefined }) => {
    const before = problem();
    if ('away' in now) away = now.away;
    if ('declined' in now) declined = now.declined;
    const after = problem();
    if (before !== undefined && after === undefined)
      log.info({ url }, 'the remote of the state repository can be used again');
    if (after !== undefined && after.message !== before?.message)
      log.warn({ url, err: after }, 'the remote of the state repository cannot be used; changes wait');
  };

  const noted = async <T>(way: 'fetch' | 'push', act: () => Promise<T>): Promise<T> => {
    const stopTimer = options.metrics?.gitSeconds.startTimer({ operation: way });
    try {
      const result = await act();
      stopTimer?.({ outcome: 'done' });
      note(way === 'push' ? { away: undefined, declined: undefined } : { away: undefined });
      return result;
    } catch (error) {
      stopTimer?.({ outcome: 'failed' });
      // Who was overtaken, or has a full disk, has reached it.
      if (Fault.is(error) && /^REMOTE_/.test(error.code))
        note(way === 'push' && error.code === 'REMOTE_REFUSED' ? { declined: error } : { away: error });
      throw error;
    }
  };

  const look = (signal?: AbortSignal) =>
    network(async () => {
      const found = await bring(options, transport, signal);
      return found ? await tipOf(seenRef) : undefined;
    });

  /** Asks, and moves the mirror to what was seen. In a turn of `moves`, so that no push of ours comes in between. */
  const follow = async (seen: string | undefined): Promise<boolean> => {
    const before = await tip();
    if (seen === before) return false;
    if (seen === undefined)
      throw new Fault('REMOTE_UNUSABLE', {
        url,
        why: `it has no branch ${branch} any more`,
        fix: `Push it there again; ${git.directory} has all of it`,
      });
    if (before !== undefined && !(await isAncestor(git, before, seen)))
      log.warn({ url, before, after: seen }, 'the remote was rewritten (a forced push); it is followed all the same');
    await local.move(before, seen);
    return true;
  };

  const fetch = async (signal?: AbortSignal): Promise<boolean> => {
    for (let tries = 1; ; tries++) {
      const before = await tip();
      const seen = await look(signal);
      // A push of ours came in meanwhile: what was seen may be older than it.
      const moved = await moves(async () => ((await tip()) === before ? await follow(seen) : undefined));
      if (moved !== undefined) return moved;
      if (tries === mostTries) return true;
    }
  };

  const move = async (from: string | undefined, to: string, moving: MoveOptions = {}): Promise<void> => {
    const failure = await push(options, transport, { from, to, ...moving }).then(
      (outcome) =>
        outcome === 'moved' ? new Fault('REVISION_MOVED', { branch, expected: from ?? 'nothing' }) : undefined,
      (error: unknown) => error,
    );
    if (failure === undefined) return await local.move(from, to);
    if (Fault.is(failure, 'REMOTE_REFUSED') || Fault.is(failure, 'LEASE_LOST')) throw failure;
    // Somebody was faster, or the answer was lost on the way: what the remote has decides.
    const seen = await look().catch(() => {
      throw failure;
    });
    await follow(seen);
    if (seen !== undefined && (await isAncestor(git, to, seen))) return;
    throw failure;
  };

  return {
    url,
    provider: remote.provider,
    pushesPerMinute: remote.pushesPerMinute,
    credentials,
    problem,
    isThere: () => away === undefined,
    fetch: async (signal, sinceMs = Number.NEGATIVE_INFINITY) => {
      while (asking !== undefined && asking.sinceMs < sinceMs) await asking.answer.catch(() => {});
      asking ??= {
        sinceMs: clock.monotonicMs(),
        answer: noted('fetch', () => fetch(signal)).finally(() => {
          asking = undefined;
        }),
      };
      return await asking.answer;
    },
    look: () => noted('fetch', look),
    publish: async (from, to) => {
      if ((await noted('push', () => push(options, transport, { from, to }))) === 'moved')
        throw new Fault('REVISION_MOVED', { branch, expected: from ?? 'nothing' });
    },
    goesOnFrom: (older, newer) => isAncestor(git, older, newer),
    head: {
      move: (from, to, moving) => moves(() => noted('push', () => move(from, to, moving))),
      close: async () => {
        await Promise.all([network(async () => {}), moves(async () => {})]);
        await transport.close();
        await local.close();
      },
    },
  };
}

/** Brings what the remote's branch has. False: it has no such branch. */
async function bring(options: RemoteOptions, transport: Transport, signal?: AbortSignal): Promise<boolean> {
  const { branch, remote } = options;
  const quiet = ['--quiet', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head', '--no-auto-maintenance'];
  const args = ['fetch', ...quiet, '--', remote.url, `+refs/heads/${branch}:${seenRef}`];
  const done = new AbortController();
  const tooLarge = new AbortController();
  void watchSize(options, done.signal, tooLarge);
  try {
    return await transport.run(args, {
      timeoutMs: fetchTimeoutMs,
      signal: AbortSignal.any([tooLarge.signal, ...(signal === undefined ? [] : [signal])]),
      read: ({ code, stderr }) => {
        if (code === 0) return true;
        return /couldn't find remote ref/.test(stderr) ? false : undefined;
      },
    });
  } finally {
    done.abort();
  }
}

/** Ends a fetch that brings more than a state repository ever holds, before the disk is full. */
async function watchSize(
  { git, clock, remote, mostBytes = standardMostBytes }: RemoteOptions,
  done: AbortSignal,
  tooLarge: AbortController,
): Promise<void> {
  const folder = join(git.directory, 'objects/pack');
  for (;;) {
    await clock.sleep(500, done).catch(() => {});
    if (done.aborted) return;
    const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith('tmp_pack_'));
    const sizes = await Promise.all(
      names.map(async (name) => (await stat(join(folder, name)).catch(() => ({ size: 0 }))).size),
    );
    if (sizes.every((size) => size <= mostBytes)) continue;
    const why = `one fetch brings more than ${mostBytes} bytes`;
    const fix = 'A state repository holds no large files; take them out of its history';
    tooLarge.abort(new Fault('REMOTE_UNUSABLE', { url: remote.url, why, fix }));
    return;
  }
}

/** What a host says when another push was faster. */
const overtaken =
  /stale info|fetch first|non-fast-forward|cannot lock ref|failed to (lock|update ref)|incorrect old value|reference already exists|is at .+ but expected/i;

/** A push of one ref is all or nothing; it happens only where the remote's branch is still at `from`. */
async function push(
  { branch, remote }: RemoteOptions,
  transport: Transport,
  { from, to, assert }: MoveOptions & { readonly from: string | undefined; readonly to: string },
): Promise<'done' | 'moved'> {
  const ref = `refs/heads/${branch}`;
  const lease = `--force-with-lease=${ref}:${from ?? ''}`;
  const args = ['push', '--porcelain', '--quiet', '--no-verify', '--recurse-submodules=no', lease];
  return await transport.run([...args, '--', remote.url, `${to}:${ref}`], {
    timeoutMs: pushTimeoutMs,
    assert,
    read: (result) => {
      if (result.code === 0) return 'done';
      const refused = refusalOf(result);
      if (refused === undefined) return undefined;
      if (overtaken.test(refused)) return 'moved';
      throw new Fault('REMOTE_REFUSED', {
        url: remote.url,
        why: `it declines a push to ${branch}: ${refused}`,
        fix: `Let whom Plinth signs in as push to ${branch}, past its protection`,
      });
    },
  });
}

/** Why the remote did not take the ref, in its words; undefined where it came to no answer. */
function refusalOf({ stdout, stderr }: GitResult): string | undefined {
  const line = stdout
    .toString('utf8')
    .split('\n')
    .find((one) => one.startsWith('!\t'));
  const [, summary = ''] = /^!\t\S+\t(.*)$/.exec(line ?? '') ?? [];
  if (!/\[(remote )?rejected\]/.test(summary)) return undefined;
  const said = stderr.split('\n').flatMap((one) => /^remote: (error: )?(.*\S)/.exec(one)?.[2] ?? []);
  const reason = /\((.*)\)\s*$/.exec(summary)?.[1] ?? summary;
  return [reason, ...said]
    .join('; ')
    .replace(/\p{Cc}/gu, ' ')
    .slice(0, 300);
}

async function isAncestor(git: Git, older: string, newer: string): Promise<boolean> {
  if (older === newer) return true;
  return (await git.run(['merge-base', '--is-ancestor', older, newer], { accept: [0, 1, 128] })).code === 0;
}

/** One after the other, whatever became of the one before. */
function createTurns(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const turn = last.then(act);
    last = turn.catch(() => {});
    return turn;
  };
}
