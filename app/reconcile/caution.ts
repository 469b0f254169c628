import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { readCursor, removeCursor, writeCursor } from '#database/cursors.ts';
import type { Database } from '#database/pool.ts';
import type { Repository } from '#git/repository.ts';
import { type Share, wholeShare } from './share.ts';

/**
 * Whether every deletion waits for a person. After a restore Git may be older than what was reconciled: what it no
 * longer names is then not unwanted, but forgotten. So it is while the tip does not descend from the last revision
 * that came to rest; it ends when nothing waits for a yes any more.
 */
export interface Caution {
  isOn(): boolean;
  /** Compares the first tip, or one that does not go on from the last, with what is remembered. */
  begin(tip: string): Promise<void>;
  /**
   * Remembers a tip. While caution is on only once everything has come to rest: `atRest` says so of what is ours, and
   * each replica notes that of each of its parts, so that it ends when all of them have.
   */
  advance(tip: string, atRest: () => boolean): Promise<void>;
}

/** Where the database keeps the last revision that came to rest. */
export const reconcileCursor = (environment: string): string => `reconcile/${environment}`;

export interface CautionOptions {
  readonly database: Database;
  readonly repository: Repository;
  readonly log: Log;
  /** Which parts of the projects are ours; default all of them. */
  readonly share?: Pick<Share, 'parts' | 'has'> | undefined;
}

export function createCaution(options: CautionOptions, environment: string): Caution {
  const { database, repository, log, share = wholeShare } = options;
  const name = reconcileCursor(environment);
  const cursorOf = (part: string) => `${name}/${part}`;
  let on = false;
  let remembered: string | undefined;

  const isOver = async (tip: string, atRest: () => boolean): Promise<boolean> => {
    const now = await readCursor(database, name);
    if (now !== undefined && now !== remembered && (await descends(repository, now, tip))) return true;
    if (!atRest()) return false;
    for (const part of share.parts) if (share.has(part)) await writeCursor(database, cursorOf(part), tip);
    const rested = await Promise.all(share.parts.map((part) => readCursor(database, cursorOf(part))));
    if (!rested.every((revision) => revision === tip)) return false;
    await Promise.all(share.parts.map((part) => removeCursor(database, cursorOf(part))));
    return true;
  };

  return {
    isOn: () => on,
    begin: async (tip) => {
      remembered = await readCursor(database, name);
      const before = on;
      on = remembered !== undefined && !(await descends(repository, remembered, tip));
      if (on && !before)
        log.warn(
          { environment, tip, remembered },
          'Git does not descend from what was reconciled last, as after a restore: nothing is deleted without a yes',
        );
    },
    advance: async (tip, atRest) => {
      if (tip === remembered || (on && !(await isOver(tip, atRest)))) return;
      if (on) log.info({ environment, tip }, 'everything has come to rest; deletions are decided as ever');
      on = false;
      await writeCursor(database, name, tip);
      remembered = tip;
    },
  };
}

/** False also where the repository no longer knows the older one. */
export async function descends(repository: Repository, older: string, newer: string): Promise<boolean> {
  try {
    return await repository.isAncestor(older, newer);
  } catch (error) {
    if (!Fault.is(error, 'REVISION_UNKNOWN')) throw error;
    return false;
  }
}
