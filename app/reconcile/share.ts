import { hash } from 'node:crypto';
import type { Lease, Leases, Turn } from '#database/leases.ts';
import { keyText, type ProjectKey } from '#environments/layout.ts';

/** Projects are spread in so many parts; a part is what moves between replicas. */
const parts = 64;

const partName = (part: number) => `projects/${part}`;
/** Every lease of reconcile. */
export const shareNames: readonly string[] = Array.from({ length: parts }, (_, part) => partName(part));

/** Which projects are this replica's. */
export interface Share {
  /** The lease under which this replica may act for the project; undefined: another one does. */
  leaseOf(key: ProjectKey): Lease | undefined;
  /** Begins a run for the project: until it ends, its part is not given to a replica that came meanwhile. */
  enter(key: ProjectKey): Turn | undefined;
  /**
   * The epochs under which projects are ours at this moment. Whoever reads what is remembered asks before the reading:
   * what was read before a part came may be older than what its former holder wrote last.
   */
  epochs(): (key: ProjectKey) => number | undefined;
  /** False while it is not known yet what is ours. */
  begun(): boolean;
  /** The names of all parts, and whether one is ours now. */
  readonly parts: readonly string[];
  has(part: string): boolean;
  /** Calls back when parts came or went; a hint. */
  onChange(changed: () => void): void;
}

export function createShare(leases: Pick<Leases, 'lease' | 'enter' | 'begun' | 'onChange'>): Share {
  return {
    leaseOf: (key) => leases.lease(partOf(key)),
    enter: (key) => leases.enter(partOf(key)),
    epochs: () => {
      const now = new Map(shareNames.map((name) => [name, leases.lease(name)?.epoch]));
      return (key) => now.get(partOf(key));
    },
    begun: leases.begun,
    parts: shareNames,
    has: (part) => leases.lease(part) !== undefined,
    onChange: leases.onChange,
  };
}

/** The name of the lease that a project belongs to. */
export const partOf = (key: ProjectKey) => partName(hash('sha256', keyText(key), 'buffer').readUInt32BE(0) % parts);

const whole: Lease = {
  name: 'whole',
  epoch: 1,
  sinceMs: Number.NEGATIVE_INFINITY,
  holds: () => true,
  assert: () => {},
  lost: new AbortController().signal,
  proof: undefined,
};

/** All projects, for ever: where there is one replica only, and in tests. */
export const wholeShare: Share = {
  leaseOf: () => whole,
  enter: () => ({ lease: whole, end: () => {} }),
  epochs: () => () => whole.epoch,
  begun: () => true,
  parts: [whole.name],
  has: () => true,
  onChange: () => {},
};
