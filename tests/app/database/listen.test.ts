import { expect, onTestFinished, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { createListener, notify } from '#database/listen.ts';
import { captureLog } from '#support/captured-log.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const clockNow = () => systemClock.monotonicMs();
const soon = { interval: 5, timeout: 10_000 };

/** Listens on `channels`, from the first gap on; everything that came, in order. */
async function listen(channels: readonly string[], clock: Clock = systemClock) {
  const came: string[] = [];
  const heard: number[] = [];
  const { log } = captureLog();
  const listener = createListener({
    connection: db.connection,
    channels,
    log,
    clock,
    onNotice: (channel, payload) => came.push(`${channel}: ${payload}`),
    onGap: () => came.push('gap'),
    onHeard: (atMs) => heard.push(atMs),
  });
  onTestFinished(() => listener.stop());
  await expect.poll(() => came, soon).toEqual(['gap']);
  return { came, heard, listener };
}

/** Process of the server for the connection that listens here. */
async function backend(): Promise<number | undefined> {
  const { rows } = await db.database.query<{ pid: number }>(
    `select pid from pg_stat_activity
      where datname = current_database() and application_name = 'plinth-listen' order by backend_start desc`,
  );
  return rows[0]?.pid;
}

test('a notice comes when its transaction commits, once, and on its channel', async () => {
  const { came } = await listen(['first', 'Second channel']);
  await db.database.transaction(async (tx) => {
    await notify(tx, 'first', 'a');
    await notify(tx, 'first', 'a');
    await notify(tx, 'Second channel', 'b');
    await notify(tx, 'other', 'c');
    await db.database.query('select');
    expect(came).toEqual(['gap']);
  });
  await db.database
    .transaction(async (tx) => {
      await notify(tx, 'first', 'rolled back');
      throw new Error('no');
    })
    .catch(() => {});
  await notify(db.database, 'first', 'last');
  await expect.poll(() => came, soon).toEqual(['gap', 'first: a', 'Second channel: b', 'first: last']);
});

test('after a lost connection it listens again and says that there was a gap', async () => {
  const { came } = await listen(['first']);
  for (const round of [1, 2, 3]) {
    await db.database.query('select pg_terminate_backend($1)', [await backend()]);
    await expect.poll(() => came.filter((what) => what === 'gap'), soon).toHaveLength(1 + round);
    await notify(db.database, 'first', `round ${round}`);
    await expect.poll(() => came.at(-1), soon).toBe(`first: round ${round}`);
  }
});

test('a connection that is open and silent is noticed by the heartbeat', async () => {
  const hurried: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) };
  const { came, heard } = await listen(['first'], hurried);
  const frozen = (await backend()) ?? 0;
  await expect.poll(() => heard.length, soon).toBeGreaterThan(3);
  process.kill(frozen, 'SIGSTOP');
  const frozenAtMs = clockNow();
  onTestFinished(() => void process.kill(frozen, 'SIGCONT'));
  await expect.poll(() => came, soon).toEqual(['gap', 'gap']);
  // While it was silent, it was not said to be heard: nothing between then and the new connection.
  const [last = 0, next = 0] = [heard.findLast((atMs) => atMs < frozenAtMs), heard.find((atMs) => atMs > frozenAtMs)];
  expect([last > 0, next - frozenAtMs > 40, heard.toSorted((a, b) => a - b)]).toEqual([true, true, heard]);
  await notify(db.database, 'first', 'again');
  await expect.poll(() => came, soon).toEqual(['gap', 'gap', 'first: again']);
});

test('it can be stopped while there is no server', async () => {
  const { log, lines } = captureLog();
  const listener = createListener({
    connection: { ...db.connection, host: '/nowhere' },
    channels: ['first'],
    log,
    clock: systemClock,
    onNotice: () => {},
    onGap: () => {
      throw new Error('never');
    },
  });
  await expect.poll(() => lines().length, soon).toBeGreaterThan(1);
  expect(lines()[0]).toMatchObject({ level: 'warn', msg: 'listening for notices interrupted' });
  await listener.stop();
});
