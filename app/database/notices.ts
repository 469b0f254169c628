/** What the control plane tells itself through PostgreSQL: hints that wake, never the truth. */
export const channels = [
  'changes',
  'change_ended',
  'revisions',
  'project_wake',
  'project_events',
  'secrets',
  'signatures',
  'access',
  'leases',
] as const;
export type Channel = (typeof channels)[number];

type Reader = (payload: string) => void;

/** Hands the notices of one listening connection to everyone who asked for them. */
export interface Notices {
  /** Calls `reader` for every notice of the channel, or only for those with this payload. Returns how to stop it. */
  on(channel: Channel, reader: Reader, payload?: string): () => void;
  /** Calls `reader` when notices may have been missed: whoever depends on them reads again. */
  onGap(reader: () => void): () => void;
  /** For the one who listens to PostgreSQL. */
  deliver(channel: string, payload: string): void;
  missed(): void;
  /** PostgreSQL answered on the listening connection what was asked at this moment. */
  heard(atMs: number): void;
  /**
   * The last moment of which it is certain that every notice sent before has been delivered, by the monotonic clock;
   * before the first one -Infinity. Whoever must not miss a notice trusts what they know for so long after it.
   */
  heardAtMs(): number;
}

export function createNotices(): Notices {
  const all = new Map<string, Set<Reader>>();
  const gaps = new Set<() => void>();
  let heardAtMs = Number.NEGATIVE_INFINITY;
  const readers = (name: string): Set<Reader> => {
    const there = all.get(name) ?? new Set();
    all.set(name, there);
    return there;
  };
  return {
    on: (channel, reader, payload) => {
      const name = payload === undefined ? channel : `${channel} ${payload}`;
      readers(name).add(reader);
      return () => {
        const set = all.get(name);
        set?.delete(reader);
        if (set?.size === 0) all.delete(name);
      };
    },
    onGap: (reader) => {
      gaps.add(reader);
      return () => gaps.delete(reader);
    },
    deliver: (channel, payload) => {
      for (const reader of [...(all.get(channel) ?? []), ...(all.get(`${channel} ${payload}`) ?? [])]) reader(payload);
    },
    missed: () => {
      for (const reader of [...gaps]) reader();
    },
    heard: (atMs) => {
      heardAtMs = atMs;
    },
    heardAtMs: () => heardAtMs,
  };
}
