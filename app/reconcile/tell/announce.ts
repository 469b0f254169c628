import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { keyText, namespaceOf, type ProjectKey } from '#environments/layout.ts';
import { matchesProject, type Notification } from '#environments/operations.ts';
import type { Door } from '#notify/door.ts';
import type { Notifier, Order } from '#notify/notifier.ts';
import type { Runtime, Telling as RuntimeTelling } from '#runtime/runtime.ts';
import { type Mask, maskFor } from '#secrets/mask.ts';
import type { Secrets } from '#secrets/secrets.ts';
import {
  type After,
  forgetAnnounced,
  type Locked,
  type Looked,
  lockAnnounced,
  nextDue,
  readDue,
  readFacts,
  readReported,
  readUnlooked,
  writeAnnounced,
} from './announce-store.ts';
import { bounded, eventOf, type Words, wordsOf } from './announce-words.ts';
import { type Facts, type ProjectTelling, tellings } from './tellings.ts';

export interface AnnouncerOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly secrets: Pick<Secrets, 'list' | 'resolve'>;
  readonly notifier: Pick<Notifier, 'order' | 'wake'>;
  /** `notify` of environment.yaml at the tip; empty where there is no such environment. */
  notificationsOf(environment: string): Promise<readonly Notification[]>;
  /** Where events of a project are written; undefined: nowhere from here. */
  runtimeOf(environment: string): Pick<Runtime, 'tell'> | undefined;
  /** Where a person reads more about a project. */
  readonly linkOf?: (key: ProjectKey) => string;
}

/** Tells what becomes of projects, to those whom environment.yaml names and beside the objects in the cluster. */
export interface Announcer {
  /** A run wrote what became of this project: a hint. */
  heard(key: ProjectKey): void;
  /** Notices may have been missed: every project is compared with what was told. */
  heardAll(): void;
  /** Resolves when everything that was heard has been looked at. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

const pollMs = 30_000;
/** So often everything is compared although no notice was missed. */
const wholeMs = 300_000;
const mostAtOnce = 100;
/** What is due and locked by another replica is not asked for again and again. */
const leastPauseMs = 20;

/**
 * Compares what was last told of a project with what stands, and orders what is missing in the transaction that
 * remembers it: nothing is lost by a kill, nothing told twice by two replicas.
 */
export function startAnnouncer(options: AnnouncerOptions): Announcer {
  const { database, clock, log } = options;
  const doors = { ...options, notificationsOf: lastGood(options) };
  const dirty = new Map<string, ProjectKey>();
  let whole = true;
  let wholeAtMs = Number.NEGATIVE_INFINITY;
  let settle: (() => void)[] = [];

  const take = async (): Promise<readonly ProjectKey[]> => {
    const batch = [...dirty.values()].slice(0, mostAtOnce);
    for (const key of batch) dirty.delete(keyText(key));
    if (batch.length > 0) return batch;
    const due = await readDue(database, clock.now(), mostAtOnce);
    if (due.length > 0) return due;
    if (!whole && clock.monotonicMs() - wholeAtMs < wholeMs) return [];
    whole = false;
    wholeAtMs = clock.monotonicMs();
    const unlooked = await readUnlooked(database, mostAtOnce);
    whole ||= unlooked.length === mostAtOnce;
    return unlooked;
  };

  const loop = startLoop({
    name: 'announce',
    log,
    clock,
    everyMs: pollMs,
    run: async (signal) => {
      const keys = await take();
      if (keys.length > 0) {
        const looked = await look(doors, keys).catch((error: unknown) => {
          for (const key of keys) dirty.set(keyText(key), key);
          throw error;
        });
        // Where another replica looks at all of them, it sees to them.
        if (looked === 0) whole = false;
        if (looked > 0 || dirty.size > 0) return 'again';
      }
      if (signal.aborted) return 'idle';
      if (whole) return 'again';
      const waiting = settle;
      settle = [];
      for (const resolve of waiting) resolve();
      const due = await nextDue(database);
      return due === undefined ? 'idle' : { afterMs: Math.max(due.getTime() - clock.now().getTime(), leastPauseMs) };
    },
  });

  return {
    heard: (key) => {
      dirty.set(keyText(key), key);
      loop.wake();
    },
    heardAll: () => {
      whole = true;
      loop.wake();
    },
    idle: () =>
      new Promise((resolve) => {
        settle.push(resolve);
        loop.wake();
      }),
    stop: () => loop.stop(),
  };
}

/** An environment.yaml that cannot be read holds nobody else up: what it said before counts on. */
function lastGood({ notificationsOf, log }: AnnouncerOptions): AnnouncerOptions['notificationsOf'] {
  const known = new Map<string, readonly Notification[]>();
  return async (environment) => {
    try {
      known.set(environment, await notificationsOf(environment));
    } catch (error) {
      log.warn({ environment, err: error }, 'who is to be told cannot be read; who was told before is');
    }
    return known.get(environment) ?? [];
  };
}

function doorOf(notification: Notification): Door {
  if (notification.kind === 'mail') return { kind: 'mail', to: notification.to };
  const { kind, url } = notification;
  return kind === 'slack' ? { kind, url } : { kind, url, key: notification.key };
}

/** Looks at some projects in one transaction. @returns how many no other replica was looking at */
async function look(options: AnnouncerOptions, keys: readonly ProjectKey[]): Promise<number> {
  const { database, notifier } = options;
  const { count, orders, events } = await database.transaction(async (tx) => {
    const locked = await lockAnnounced(tx, keys);
    const told = await tellAll(options, tx, locked);
    await notifier.order(tx, told.orders);
    return { ...told, count: locked.length };
  });
  if (orders.length > 0) notifier.wake();
  for (const { environment, event } of events) void options.runtimeOf(environment)?.tell(event);
  return count;
}

interface Spoken {
  readonly orders: readonly Order[];
  readonly events: readonly { readonly environment: string; readonly event: RuntimeTelling }[];
}

async function tellAll(options: AnnouncerOptions, tx: Queryable, locked: readonly Locked[]): Promise<Spoken> {
  const all = locked.map(({ key }) => key);
  const standing = new Map((await readFacts(tx, all)).map((looked) => [keyText(looked.key), looked]));
  const reports = await readReported(tx, locked);
  const spoken: Spoken[] = [];
  const after: After[] = [];
  for (const before of locked) {
    const { key } = before;
    const looked = standing.get(keyText(key));
    if (looked === undefined) continue;
    const facts: Facts = { ...looked.facts, reports: reports.get(keyText(key)) ?? [] };
    const { tellings: said, told, againMs } = tellings(before.told, facts, options.clock.now().getTime());
    for (const telling of said) spoken.push(await speak(options, looked, facts, telling));
    const now = { key, told, at: looked.at, due: againMs === undefined ? undefined : new Date(againMs) };
    if (!isSame(before, now)) after.push(now);
  }
  await writeAnnounced(tx, after);
  const gone = all.filter((key) => !standing.has(keyText(key)));
  await forgetAnnounced(tx, gone);
  return { orders: spoken.flatMap(({ orders }) => orders), events: spoken.flatMap(({ events }) => events) };
}

/** Another replica may have looked at the very same already. */
const isSame = (before: Locked, after: After): boolean =>
  before.at === after.at &&
  before.due?.getTime() === after.due?.getTime() &&
  isDeepStrictEqual(before.told, after.told);

/** One telling in words, to everyone who wants it. */
async function speak(
  options: AnnouncerOptions,
  { key }: Looked,
  facts: Facts,
  telling: ProjectTelling,
): Promise<Spoken> {
  const { environment, team, project } = key;
  const wanted = (await options.notificationsOf(environment)).filter(
    ({ on, projects }) =>
      telling.says.some((kind) => on.includes(kind)) && projects.some((pattern) => matchesProject(pattern, key)),
  );
  const runtime = options.runtimeOf(environment);
  if (wanted.length === 0 && runtime === undefined) return { orders: [], events: [] };
  const plain = wordsOf(key, telling, facts);
  const words = ours.has(telling.kind) ? bounded(plain) : await maskedWords(options, key, plain);
  const message: Order['message'] = {
    event: telling.kind,
    says: [...telling.says],
    at: options.clock.now().toISOString(),
    environment,
    team,
    project,
    revision: facts.revision ?? null,
    phase: facts.phase,
    health: facts.health,
    summary: words.summary,
    details: [...words.details],
    changes: telling.changes,
    url: options.linkOf?.(key) ?? null,
  };
  return {
    orders: wanted.map((notification) => ({
      door: doorOf(notification),
      mostPerHour: notification.mostPerHour,
      message,
    })),
    events: runtime === undefined ? [] : [{ environment, event: eventOf(namespaceOf(key), telling, words) }],
  };
}

/** Tellings that hold no word of others. */
const ours: ReadonlySet<ProjectTelling['kind']> = new Set(['applied', 'healthy', 'recovered']);

/**
 * Reasons are others' words (an API server's, a container's), and may hold any value. What cannot be masked stays here:
 * the kind of the telling is told all the same.
 */
async function maskedWords({ secrets, log }: AnnouncerOptions, key: ProjectKey, words: Words): Promise<Words> {
  let mask: Mask;
  try {
    mask = await maskFor(secrets, key);
  } catch (error) {
    if (!Fault.is(error) || error.code === 'DATABASE_UNAVAILABLE') throw error;
    log.warn({ ...key, err: error }, 'reasons are not told: the secrets to be masked in them cannot be read');
    const [head = ''] = words.summary.split(':');
    return { summary: head, details: ['Reasons are left out: the secrets to be masked in them cannot be read.'] };
  }
  return bounded({ summary: mask(words.summary), details: words.details.map(mask) });
}
