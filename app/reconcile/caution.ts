import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { readCursor, writeCursor } from '#database/cursors.ts';
import type { Database } from '#database/pool.ts';
import type { Repository } from '#git/repository.ts';

/**
 * Whether every deletion waits for a person. After a restore Git may be older than what was reconciled: what it no
 * longer names is then not unwanted, but forgotten. So it is while the tip does not descend from the last revision
 * that came to rest; it ends when nothing waits for a yes any more.
 */
export interface Caution {
  isOn(): boolean;
  /** Compares the first tip with what is remembered. */
  begin(tip: string): Promise<void>;
  /** Remembers a tip. While caution is on only once everything has come to rest. */
  advance(tip: string, atRest: () => boolean): Promise<void>;
}

export function createCaution(
  { database, repository, log }: { readonly database: Database; readonly repository: Repository; readonly log: Log },
  environment: string,
): Caution {
  const name = `reconcile/${environment}`;
  let on = false;
  let remembered: string | undefined;
  return {
    isOn: () => on,
    begin: async (tip) => {
      remembered = await readCursor(database, name);
      on = remembered !== undefined && !(await descends(repository, remembered, tip));
      if (on)
        log.warn(
          { environment, tip, remembered },
          'Git does not descend from what was reconciled last, as after a restore: nothing is deleted without a yes',
        );
    },
    advance: async (tip, atRest) => {
      if (tip === remembered || (on && !atRest())) return;
      if (on) log.info({ environment, tip }, 'everything has come to rest; deletions are decided as ever');
      on = false;
      await writeCursor(database, name, tip);
      remembered = tip;
    },
  };
}

async function descends(repository: Repository, older: string, newer: string): Promise<boolean> {
  try {
    return await repository.isAncestor(older, newer);
  } catch (error) {
    if (!Fault.is(error, 'REVISION_UNKNOWN')) throw error;
    return false;
  }
}
