import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { writeWhole } from './prepare.ts';
import type { Git } from './process.ts';
import type { RemoteBranch } from './remote.ts';

/** Names the remote whose mirror a repository is; absent: it is the state repository itself. */
const markerFile = 'plinth.remote';

export interface MirrorOptions {
  readonly git: Git;
  readonly log: Log;
  tip(): Promise<string | undefined>;
}

/** @throws Fault REMOTE_MIXED for a mirror that is opened as if it were the repository itself */
export async function mustBeNoMirror({ git: { directory } }: MirrorOptions): Promise<void> {
  const present = await readMarker(directory);
  if (present === undefined) return;
  throw new Fault('REMOTE_MIXED', {
    directory,
    present: `the remote ${present}`,
    wanted: 'no remote',
    fix: `Set STATE_REPOSITORY_URL again; or, if this shall be the state repository from now on, remove ${markerFile} there`,
  });
}

/**
 * Makes the repository a mirror of the remote, or brings the mirror up to date. Both may have commits: then one must
 * go on from the other. What was the repository itself so far is pushed to a remote that is empty or behind.
 * A remote that is away holds up the first start only.
 * @throws Fault REMOTE_MIXED | REMOTE_UNAVAILABLE | REMOTE_REFUSED | REMOTE_UNTRUSTED | REMOTE_UNUSABLE
 */
export async function beginMirror(options: MirrorOptions, remote: RemoteBranch): Promise<void> {
  const { git, log, tip } = options;
  const { directory } = git;
  const { url } = remote;
  const marker = await readMarker(directory);
  const before = await tip();
  if (marker === url && before !== undefined) {
    await remote.fetch().catch((error: unknown) => {
      if (!Fault.is(error) || !error.retry) throw error;
      log.warn({ url, err: error }, 'started with the mirror as it is: the remote cannot be used');
    });
    return;
  }
  const seen = await remote.look();
  if (before === undefined) await remote.fetch();
  else if (seen !== undefined && (await remote.goesOnFrom(before, seen))) await remote.fetch();
  else if (marker === undefined && (seen === undefined || (await remote.goesOnFrom(seen, before)))) {
    log.info({ url, revision: before }, 'the state repository moves to the remote: its history is pushed there');
    await remote.publish(seen, before);
  } else
    throw new Fault('REMOTE_MIXED', {
      directory,
      present: marker === undefined ? 'a state repository with a history of its own' : `the remote ${marker}`,
      wanted: url,
      fix: `Push its branch to the new remote first, or give Plinth an empty DATA_DIR`,
    });
  await writeWhole(join(directory, markerFile), `${url}\n`);
}

const readMarker = async (directory: string) =>
  (await readFile(join(directory, markerFile), 'utf8').catch(() => undefined))?.trim() || undefined;
