import type { Clock } from '#base/clock.ts';
import { readCursor } from '#database/cursors.ts';
import type { Lease } from '#database/leases.ts';
import type { Database } from '#database/pool.ts';
import type { Repository } from '#git/repository.ts';
import { descends, reconcileCursor } from './caution.ts';

/**
 * Whether Git was looked at since a part came to us. A mirror may be behind: what its former holder applied last would
 * be taken back, and what is new in Git would look like something that nobody wants.
 */
export interface Freshness {
  /** True when nothing is missing here that the former holder of this lease can have known. */
  covers(lease: Lease): boolean;
  /** Asks for a look that begins after this moment of the monotonic clock; the next `look` brings it. */
  want(sinceMs: number): void;
  /**
   * Follows Git by `follow`, after asking the remote where that was wanted. True when it was: what waited for it may go.
   * @throws Fault where the remote is away and others may know more of it
   */
  look(follow: () => Promise<void>): Promise<boolean>;
}

export function createFreshness(
  options: { readonly repository: Repository; readonly database: Database; readonly clock: Clock },
  environment: string,
): Freshness {
  const { repository, database, clock } = options;
  let seenMs = Number.NEGATIVE_INFINITY;
  let wantedMs: number | undefined;

  const ask = async (sinceMs: number) => {
    try {
      await repository.remote?.fetch(undefined, sinceMs);
    } catch (error) {
      // As far as any replica has come, nothing is missing here.
      const [known, tip] = await Promise.all([readCursor(database, reconcileCursor(environment)), repository.tip()]);
      if (known === undefined || tip === undefined || !(await descends(repository, known, tip))) throw error;
    }
  };

  return {
    covers: ({ sinceMs }) => sinceMs <= seenMs,
    want: (sinceMs) => {
      wantedMs = Math.max(wantedMs ?? sinceMs, sinceMs);
    },
    look: async (follow) => {
      const beganMs = clock.monotonicMs();
      const sinceMs = wantedMs;
      if (sinceMs !== undefined) await ask(sinceMs);
      await follow();
      if (repository.remote === undefined) seenMs = beganMs;
      else if (sinceMs !== undefined) seenMs = sinceMs;
      if (wantedMs === sinceMs) wantedMs = undefined;
      return sinceMs !== undefined;
    },
  };
}
