import { hash } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import {
  beat,
  claimLeases,
  freeDead,
  giveLeases,
  joinReplicas,
  type LeaseProof,
  type LeaseRow,
  leaveReplicas,
  type OtherReplica,
} from './lease-store.ts';
import type { Database } from './pool.ts';

export type { LeaseProof } from './lease-store.ts';

/**
 * The right to be the only one who does something, for as long as it is renewed. `epoch` is the fencing token: it
 * grows each time the lease changes hands and never comes back, so that whatever carries an older one is refused.
 */
export interface Lease {
  readonly name: string;
  readonly epoch: number;
  /** When it came to us, by our monotonic clock: whatever its former holder did was done before. */
  readonly sinceMs: number;
  /**
   * False from the moment that another replica might hold it: the deadline is a time of our own monotonic clock, set
   * before the renewal was sent, and shorter than the time after which others may take it over.
   */
  holds(): boolean;
  /** @throws Fault LEASE_LOST where it no longer holds */
  assert(): void;
  /** Aborted with LEASE_LOST soon after it no longer holds, to end what is under way. Only `holds` is exact. */
  readonly lost: AbortSignal;
  /** What statements that write under this lease have to prove; undefined: there is nobody else, nothing is asked. */
  readonly proof: LeaseProof | undefined;
}

/** A piece of work under a lease; until it ends, the lease is not given to a replica that came meanwhile. */
export interface Turn {
  readonly lease: Lease;
  end(): void;
}

/** Spreads named leases over the living replicas and keeps ours renewed. */
export interface Leases {
  /** The lease of this name if this replica has it now. */
  lease(name: string): Lease | undefined;
  /** Begins a piece of work under the lease, if this replica has it and keeps it. */
  enter(name: string): Turn | undefined;
  /** Calls back when leases came or went; a hint. */
  onChange(changed: () => void): void;
  /** True once it was looked for the first time who else is there and what is free: before, nothing is ours yet. */
  begun(): boolean;
  /** Who lives and holds what, for /ready and the API; ourselves first. */
  replicas(): readonly { readonly id: string; readonly leases: number }[];
  /** Leases may have become free: looks now (notice `leases`). */
  wake(): void;
  /** Gives every lease back at once, so that nobody has to wait for the end of its time. */
  stop(): Promise<void>;
}

export interface LeasesOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** Id of this process, new at each start. */
  readonly replica: string;
  /** What tells whether others have the same application secret, see peers.ts. */
  readonly print?: string;
  /** Every lease there is to spread: rendezvous hash over the living replicas decides who should have it. */
  readonly names: readonly string[];
  /** There can be no other replica (embedded database): what a killed process left is taken over at once. */
  readonly alone: boolean;
}

/** Between two signs of life; a fifth of it is jittered away. */
const beatMs = 300;
/** After a sign of life was sent, what is ours holds for so long. */
const holdMs = 1_500;
/** A replica whose beat stood still for so long is taken for dead. More than `holdMs`: the rest is a margin. */
const deadMs = 2_000;

interface Held extends Lease {
  /** Runs under way. */
  users: number;
  /** Another replica should have it: it is given back when the last run has ended. */
  leaving: boolean;
  end(): void;
}

/**
 * Begins to take part. A sign of life is one statement; only when something changes there are more, each of them a
 * statement of its own that does nothing when it comes too late:
 *   - whoever sees a beat stand still for `deadMs` of its own clock takes that replica's row away, if the beat is still
 *     the same; this frees its leases;
 *   - free leases are claimed by the one whom rendezvous hashing says, with the next epoch;
 *   - what belongs to a replica that came is given back between two runs.
 * A replica whose row was taken away finds out with its next beat, which touches no row: it has nothing any more, and
 * joins anew. Nothing of this reads a wall clock.
 */
export function createLeases(options: LeasesOptions): Leases {
  const { database, clock, log, replica, alone } = options;
  const held = new Map<string, Held>();
  /** What was given back, by the epoch it had: such a lease is never used again, also where that was not heard. */
  const given = new Map<string, number>();
  const seen = new Map<string, { beat: number; sinceMs: number }>();
  const callbacks = new Set<() => void>();
  let deadlineMs = Number.NEGATIVE_INFINITY;
  let counts: readonly { id: string; leases: number }[] = [{ id: replica, leases: 0 }];
  let joined = false;
  let begun = false;
  /** Nobody but us can change what we hold: then there is nothing to renew. */
  let forGood = false;
  let stopped = false;
  let alarm = new AbortController();

  const tell = () => {
    for (const changed of callbacks) changed();
  };

  const take = (name: string, epoch: number): void => {
    const lease: Held = newHeld({ name, holder: replica, epoch }, clock, {
      isInTime: () => clock.monotonicMs() < deadlineMs,
      overdue: () => held.get(name) === lease && lapse('they were not renewed in time'),
    });
    held.set(name, lease);
    given.delete(name);
  };

  const drop = (name: string): void => {
    held.get(name)?.end();
    held.delete(name);
  };

  /** What is ours is ours no more, for a moment or for good; the next beat says which. */
  const lapse = (why: string): void => {
    deadlineMs = Number.NEGATIVE_INFINITY;
    if (held.size === 0) return;
    log.warn({ leases: held.size, reason: why }, 'leases have ended; nothing is changed until they are renewed');
    for (const name of [...held.keys()]) drop(name);
    tell();
  };

  const renewed = (sentMs: number): void => {
    deadlineMs = alone ? Number.POSITIVE_INFINITY : sentMs + holdMs;
    alarm.abort();
    if (alone) return;
    alarm = new AbortController();
    awaitDeadline(alarm.signal);
  };

  /** Nobody has to ask for the end of the time: what is under way hears of it. */
  const awaitDeadline = (signal: AbortSignal): void => {
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) lapse(`the database did not answer for ${holdMs} ms`);
    else
      clock.sleep(leftMs, signal).then(
        () => awaitDeadline(signal),
        () => {},
      );
  };

  const join = async (): Promise<void> => {
    await joinReplicas(database, { replica, print: options.print ?? '', names: options.names, alone });
    joined = true;
  };

  /** One sign of life, and what came of it. False: our row is gone. */
  const live = async (): Promise<boolean> => {
    const sentMs = clock.monotonicMs();
    const answer = await beat(database, replica);
    if (clock.monotonicMs() >= deadlineMs) lapse('they were not renewed in time');
    if (!answer.alive) {
      lapse('another replica took this one for dead');
      return false;
    }
    renewed(sentMs);
    const living = sortOthers(answer.others, seen, clock.monotonicMs(), alone);
    // At the very moment that one may be taken for dead, not only with the next beat.
    if (living.soonestMs < beatMs)
      clock.sleep(living.soonestMs, alarm.signal).then(
        () => loop.wake(),
        () => {},
      );
    const changed = await settle(answer.leases, living.alive, living.dead);
    if (changed) log.info({ replica, held: held.size, replicas: living.alive.length + 1 }, 'leases have changed hands');
    counts = [
      { id: replica, leases: held.size },
      ...living.alive.map((id) => ({ id, leases: answer.leases.filter(({ holder }) => holder === id).length })),
    ];
    if (changed || !begun) {
      begun = true;
      tell();
    }
    return true;
  };

  const print = () => [...held.values()].map(({ name, epoch, leaving }) => `${name} ${epoch} ${leaving}`).join();

  /** Makes what we hold what we should hold. True when anything changed. */
  const settle = async (
    rows: readonly LeaseRow[],
    alive: readonly string[],
    dead: readonly OtherReplica[],
  ): Promise<boolean> => {
    const before = print();
    const mine = new Map(rows.flatMap(({ name, holder, epoch }) => (holder === replica ? [[name, epoch]] : [])));
    for (const { name, epoch } of [...held.values()]) if (mine.get(name) !== epoch) drop(name);
    for (const [name, epoch] of mine) if (!held.has(name) && epoch > (given.get(name) ?? -1)) take(name, epoch);

    const isOurs = createRendezvous(replica, alive);
    for (const lease of held.values()) lease.leaving = !isOurs(lease.name);
    const leaving = [...held.values()].filter((lease) => lease.leaving && lease.users === 0);
    for (const { name, epoch } of leaving) {
      given.set(name, epoch);
      drop(name);
    }
    const back = [...mine.keys()].filter((name) => given.has(name) && !held.has(name));
    if (back.length > 0) await giveLeases(database, replica, back);

    const freed = dead.length === 0 ? [] : await freeDead(database, dead);
    for (const { id, leases } of freed)
      log.warn({ replica: id, leases: leases.length }, 'a replica gave no sign of life');
    const free = [
      ...rows.filter(({ holder }) => holder === null).map(({ name }) => name),
      ...freed.flatMap(({ leases }) => leases),
    ].filter((name) => options.names.includes(name) && isOurs(name));
    for (const { name, epoch } of free.length === 0 ? [] : await claimLeases(database, replica, free))
      take(name, epoch);
    return before !== print();
  };

  const loop = startLoop({
    name: 'leases',
    log,
    clock,
    everyMs: alone ? 60_000 : beatMs,
    run: async () => {
      if (forGood) return 'idle';
      if (!joined) await join();
      joined = await live();
      forGood = alone && joined;
      return joined ? 'idle' : 'again';
    },
  });

  return {
    lease: (name) => {
      const lease = held.get(name);
      return lease === undefined || lease.leaving || !lease.holds() ? undefined : lease;
    },
    enter: (name) => {
      const lease = held.get(name);
      if (lease === undefined || lease.leaving || !lease.holds()) return undefined;
      lease.users += 1;
      let open = true;
      const end = () => {
        if (!open) return;
        open = false;
        lease.users -= 1;
        if (lease.leaving && lease.users === 0) loop.wake();
      };
      return { lease, end };
    },
    onChange: (changed) => {
      callbacks.add(changed);
    },
    begun: () => begun,
    replicas: () => counts,
    wake: () => loop.wake(),
    stop: async () => {
      if (stopped) return;
      stopped = true;
      await loop.stop();
      alarm.abort();
      deadlineMs = Number.NEGATIVE_INFINITY;
      for (const name of [...held.keys()]) drop(name);
      if (joined) await leaveReplicas(database, replica);
    },
  };
}

/**
 * Sorts the others by whether their beats move, by our own clock.
 * @param seen each one's last beat, and since when it is known; kept up to date
 */
function sortOthers(
  others: readonly OtherReplica[],
  seen: Map<string, { readonly beat: number; readonly sinceMs: number }>,
  nowMs: number,
  alone: boolean,
) {
  const ids = new Set(others.map(({ id }) => id));
  for (const id of [...seen.keys()]) if (!ids.has(id)) seen.delete(id);
  for (const { id, beat: now } of others) if (seen.get(id)?.beat !== now) seen.set(id, { beat: now, sinceMs: nowMs });
  const leftMs = ({ id }: OtherReplica) => deadMs - (nowMs - (seen.get(id)?.sinceMs ?? nowMs));
  const dead = others.filter((one) => alone || leftMs(one) <= 0);
  const alive = others.filter((one) => !dead.includes(one));
  return { alive: alive.map(({ id }) => id), dead, soonestMs: Math.min(...alive.map(leftMs)) };
}

/** @param time says whether what is ours is still ours, and hears when somebody found that it is not */
function newHeld(
  proof: LeaseProof,
  clock: Clock,
  time: { readonly isInTime: () => boolean; readonly overdue: () => void },
): Held {
  const { name, epoch } = proof;
  const ending = new AbortController();
  const lost = () => new Fault('LEASE_LOST', { name });
  const holds = () => !ending.signal.aborted && time.isInTime();
  return {
    name,
    epoch,
    sinceMs: clock.monotonicMs(),
    proof,
    lost: ending.signal,
    holds,
    assert: () => {
      if (holds()) return;
      time.overdue();
      throw lost();
    },
    users: 0,
    leaving: false,
    end: () => ending.abort(lost()),
  };
}

/** Highest random weight: each name belongs to one of the living, and moves only when its own comes or goes. */
function createRendezvous(replica: string, others: readonly string[]): (name: string) => boolean {
  const weight = (name: string, id: string) => hash('sha256', `${name} ${id}`, 'hex');
  return (name) => {
    const own = weight(name, replica);
    return others.every((id) => weight(name, id) < own);
  };
}
