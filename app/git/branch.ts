import { Fault } from '#base/errors.ts';
import { endChild, type Git, type GitChild, gitFault, hasEnded } from './process.ts';

/** git holds a lock for milliseconds; a move that takes this long never ends. */
const mostMs = 30_000;
const nothing = '0'.repeat(40);

export interface MoveOptions {
  /** Asked at the last moment before git may move anything: what it throws ends the move, and nothing has moved. */
  readonly assert?: (() => void) | undefined;
}

/** Moves the branch, by one long-lived `git update-ref --stdin`: git's own locks and checks without a process a move. */
export interface Branch {
  /**
   * Compare and swap. Durable when it returns, but for the folder that names the file.
   * @throws Fault REPOSITORY_UNAVAILABLE | DISK_FULL in git's words, also when the branch is not at `from`.
   */
  move(from: string | undefined, to: string, options?: MoveOptions): Promise<void>;
  close(): Promise<void>;
}

export function createBranch(git: Git, branch: string): Branch {
  let child: GitChild | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;

  const move = async (from: string | undefined, to: string, { assert }: MoveOptions = {}) => {
    if (closed) throw new Fault('STOPPING');
    if (child !== undefined && hasEnded(child)) child = undefined;
    child ??= git.start(['update-ref', '--stdin']);
    assert?.();
    const failure = await converse(
      child,
      `start\nupdate refs/heads/${branch} ${to} ${from ?? nothing}\nprepare\ncommit\n`,
    );
    if (failure === undefined) return;
    // It has ended, or nobody knows what it does: the next move has a new one.
    const broken = child;
    child = undefined;
    await endChild(broken);
    throw gitFault(git.directory, failure);
  };

  return {
    move: (from, to, options) => {
      const next = last.then(() => move(from, to, options));
      last = next.catch(() => {});
      return next;
    },
    close: async () => {
      closed = true;
      await last;
      if (child !== undefined) await endChild(child);
    },
  };
}

/** Sends one transaction; undefined once git says that it is committed, else what went wrong. */
function converse(child: GitChild, transaction: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let out = '';
    let said = '';
    const settle = (failure: string | undefined) => {
      clearTimeout(timer);
      child.stdout.off('data', onOut);
      child.stderr.off('data', onSaid);
      child.off('close', onClose).off('error', onError);
      resolve(failure);
    };
    const onOut = (chunk: Buffer) => {
      out += chunk.toString('latin1');
      if (out.endsWith('commit: ok\n')) settle(undefined);
    };
    const onSaid = (chunk: Buffer) => {
      said = `${said}${chunk.toString('utf8')}`.slice(-2048);
    };
    const onClose = () => settle(said || 'git update-ref ended');
    const onError = (error: Error) => settle(`git cannot be started: ${error.message}`);
    const timer = setTimeout(() => settle(`git update-ref took longer than ${mostMs} ms`), mostMs);
    child.stdout.on('data', onOut);
    child.stderr.on('data', onSaid);
    child.on('close', onClose).on('error', onError);
    child.stdin.write(transaction);
  });
}
