import type { Clock } from '#base/clock.ts';
import type { Caller } from '#contract/caller.ts';
import type { Notices } from '#database/notices.ts';

/** A caller as the database says now, and when the proof ends by itself. */
export interface Proven {
  readonly caller: Caller;
  readonly expiresAt: Date | null;
}

export interface CallerCache {
  /**
   * The caller of a proof, remembered or read. What `read` does not find is not remembered.
   * @param proof a digest of it, never itself
   */
  get(proof: string, read: () => Promise<Proven | undefined>): Promise<Caller | undefined>;
}

interface Entry extends Proven {
  readonly untilMs: number;
}

export interface CallerCacheOptions {
  readonly notices: Pick<Notices, 'on' | 'onGap' | 'heardAtMs'>;
  readonly clock: Clock;
  /** The most callers that are remembered. Default 10,000; of more the oldest goes. */
  readonly most?: number;
}

/** So long after PostgreSQL was last heard what is remembered still counts. */
const trustMs = 5_000;
/** Read anew so often all the same: it notes the last use of tokens, and bounds what nobody thought of. */
const keepMs = 60_000;

/**
 * Remembers callers by the digest of their proof, until a notice of the channel `access` says that something of theirs
 * has changed: its payload is the id of the person, the service account, the session or the token, or `*` for all.
 * While no notices can come, nothing is answered from memory: the database is read, and if that fails, so does the
 * request.
 */
export function createCallerCache({ notices, clock, most = 10_000 }: CallerCacheOptions): CallerCache {
  const entries = new Map<string, Entry>();
  /** Id of a caller or a credential → the proofs that depend on it. */
  const proofs = new Map<string, Set<string>>();
  /** Counts what was forgotten: what was read before may be what has just changed. */
  let generation = 0;

  const forget = (proof: string) => {
    const entry = entries.get(proof);
    if (entry === undefined) return;
    entries.delete(proof);
    for (const id of idsOf(entry.caller)) {
      const all = proofs.get(id);
      all?.delete(proof);
      if (all?.size === 0) proofs.delete(id);
    }
  };
  const forgetAll = () => {
    generation += 1;
    entries.clear();
    proofs.clear();
  };
  const remember = (proof: string, proven: Proven) => {
    forget(proof);
    for (const oldest of entries.keys())
      if (entries.size >= most) forget(oldest);
      else break;
    entries.set(proof, { ...proven, untilMs: clock.monotonicMs() + keepMs });
    for (const id of idsOf(proven.caller)) proofs.set(id, (proofs.get(id) ?? new Set()).add(proof));
  };
  const isHeard = () => clock.monotonicMs() - notices.heardAtMs() <= trustMs;

  notices.on('access', (id) => {
    if (id === '*') return forgetAll();
    generation += 1;
    for (const proof of [...(proofs.get(id) ?? [])]) forget(proof);
  });
  notices.onGap(forgetAll);

  return {
    get: async (proof, read) => {
      const entry = entries.get(proof);
      if (entry !== undefined && isHeard() && counts(entry, clock)) return entry.caller;
      const before = generation;
      const proven = await read();
      if (proven === undefined) forget(proof);
      else if (generation === before && isHeard()) remember(proof, proven);
      return proven?.caller;
    },
  };
}

function counts({ untilMs, expiresAt }: Entry, clock: Clock): boolean {
  return clock.monotonicMs() < untilMs && (expiresAt === null || clock.now() < expiresAt);
}

const idsOf = ({ id, credential }: Caller) => (credential.id === undefined ? [id] : [id, credential.id]);
