import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Audit, type AuditEntry, createAudit } from '#audit/audit.ts';
import { canonicalJson, digestOf } from '#audit/canonical.ts';
import { exportAudit, listAudit } from '#audit/read.ts';
import { type Break, verifyAudit } from '#audit/verify.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { captureLog } from '#support/captured-log.ts';
import { createTestDatabase, useDatabase } from '#support/postgres.ts';

const { log } = captureLog('silent');
const db = useDatabase();
const ada = { id: 'usr_1', name: 'ada@example.com', kind: 'user', credential: 'session:ses_1' } as const;
const entry = (target: string, more: Partial<AuditEntry> = {}): AuditEntry => ({
  actor: ada,
  action: 'putProject',
  target,
  outcome: 'done',
  status: 202,
  ...more,
});

/** A database with a chain of `count` rows: targets t1, t2 … */
async function chainOf(count: number): Promise<{ database: Database; audit: Audit; drop(): Promise<void> }> {
  const { database, drop } = await createTestDatabase();
  const audit = createAudit({ database, clock: systemClock, log });
  for (let i = 1; i <= count; i++) await audit.record(entry(`t${i}`));
  return { database, audit, drop };
}

describe('writing', () => {
  test('what is recorded comes back, and of content only digests', async () => {
    const { database } = db;
    const audit = createAudit({ database, clock: systemClock, log });
    await audit.record(
      entry('environments/local/projects/shop/web', {
        address: '203.0.113.9',
        userAgent: 'curl/8',
        requestId: 'req_1',
        before: { b: 1, a: [new Secret('hunter2')] },
        after: { a: ['[secret]'], b: 1 },
        detail: { count: 3, odd: Number.NaN, ok: true, name: 'x\0\uD800' },
      }),
    );
    const { items } = await listAudit(database, {}, { limit: 10 });
    const digest = digestOf({ a: ['[secret]'], b: 1 });
    expect(items).toMatchObject([
      {
        seq: 1,
        actor: ada,
        action: 'putProject',
        target: 'environments/local/projects/shop/web',
        outcome: 'done',
        status: 202,
        address: '203.0.113.9',
        userAgent: 'curl/8',
        requestId: 'req_1',
        before: digest,
        after: digest,
        detail: { count: 3, odd: 'NaN', ok: true, name: 'x\uFFFD\uFFFD' },
        previous: '00'.repeat(32),
      },
    ]);
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await verifyAudit(database)).toMatchObject({ rows: 1 });
  });

  test('many at once share statements and stand in one chain, from several replicas', async () => {
    const { database, drop, connection } = await createTestDatabase();
    const other = createDatabase({ connection, log });
    const replicas = [database, other].map((each) => createAudit({ database: each, clock: systemClock, log }));
    const before = await statements(database);
    await Promise.all(
      Array.from({ length: 1000 }, (_, i) =>
        replicas[i % 2]?.record(entry(`t${i}`, { actor: { ...ada, id: `${i}` } })),
      ),
    );
    expect(await verifyAudit(database)).toMatchObject({ rows: 1000, head: { count: 1000 } });
    expect((await verifyAudit(database)).break).toBeUndefined();
    expect((await statements(database)) - before).toBeLessThan(60);
    await other.close();
    await drop();
  });

  test('a record whose answer was lost is not written twice', async () => {
    const { database, drop } = await createTestDatabase();
    let lose = true;
    const lossy: Database = {
      ...database,
      query: async (...args) => {
        const result = await database.query(...args);
        if (lose && args[0].includes('with moved')) {
          lose = false;
          throw new Fault('DATABASE_UNAVAILABLE', { why: 'the answer was lost' });
        }
        return result as never;
      },
    };
    const audit = createAudit({ database: lossy, clock: systemClock, log });
    await audit.record(entry('first'));
    await Promise.all([audit.record(entry('second')), audit.record(entry('third'))]);
    const { items } = await listAudit(database, {}, { limit: 10 });
    expect(items.map(({ target }) => target).sort()).toEqual(['first', 'second', 'third']);
    expect((await verifyAudit(database)).break).toBeUndefined();
    await drop();
  });

  test('without a database nothing is acknowledged, and afterwards the chain goes on', async () => {
    const { database, audit, drop } = await chainOf(2);
    await database.query('alter table audit rename to away');
    await expect(audit.record(entry('t3'))).rejects.toThrow('audit');
    await database.query('alter table away rename to audit');
    await audit.record(entry('t4'));
    expect(await verifyAudit(database)).toMatchObject({ rows: 3 });
    expect((await verifyAudit(database)).break).toBeUndefined();
    await drop();
  });

  test('canonical JSON does not depend on the order of keys', () => {
    expect(canonicalJson({ b: [{ d: 1, c: undefined }], a: new Date(0) })).toBe(
      '{"a":"1970-01-01T00:00:00.000Z","b":[{"d":1}]}',
    );
  });
});

describe('verifying', () => {
  let chain: Awaited<ReturnType<typeof chainOf>>;
  beforeAll(async () => {
    chain = await chainOf(8);
    await chain.database.query('create table kept as table audit; create table kept_head as table audit_head');
  });
  afterAll(() => chain.drop());

  const shift = (from: number, by: number) =>
    `update audit set seq = -seq where seq >= ${from}; update audit set seq = -seq + ${by} where seq < 0`;
  const copy = (seq: number, to: number) =>
    `insert into audit select ${to} as seq, 'aud_copy' as id, at, actor_id, actor_name, actor_kind, credential, action,
       target, outcome, status, address, user_agent, request_id, before_digest, after_digest, detail, previous, hash
     from audit where seq = ${seq}`;

  test.each<[string, string, Partial<Break> | undefined]>([
    ['nothing', 'select 1', undefined],
    ['a target', "update audit set target = 'x' where seq = 4", { seq: 4, kind: 'changed' }],
    ['a time', "update audit set at = at + interval '1 ms' where seq = 4", { seq: 4, kind: 'changed' }],
    ['an actor', "update audit set actor_name = 'eve' where seq = 1", { seq: 1, kind: 'changed' }],
    ['an absent status', 'update audit set status = null where seq = 4', { seq: 4, kind: 'changed' }],
    ['a detail', `update audit set detail = '{"a":1}' where seq = 4`, { seq: 4, kind: 'changed' }],
    ['a hash', 'update audit set hash = previous where seq = 4', { seq: 4, kind: 'changed' }],
    ['a deleted row', 'delete from audit where seq = 4', { seq: 4, kind: 'missing', why: 'row 4 is missing' }],
    ['several of them', 'delete from audit where seq in (4, 5)', { seq: 4, why: 'row 4 to 5 is missing' }],
    ['the first one', 'delete from audit where seq = 1', { seq: 1, kind: 'missing' }],
    [
      'a deleted row, and the rest moved up',
      `delete from audit where seq = 4; ${shift(5, -1)}`,
      { seq: 4, kind: 'missing' },
    ],
    ['a row put in', `${shift(4, 1)}; ${copy(3, 4)}`, { seq: 4, kind: 'changed' }],
    [
      'two rows exchanged',
      'update audit set seq = -4 where seq = 4; update audit set seq = 4 where seq = 5; update audit set seq = 5 where seq = -4',
      { seq: 4, kind: 'reordered', why: 'row 4 was written as row 5' },
    ],
    ['a tail cut off', 'delete from audit where seq > 6', { seq: 7, kind: 'cut' }],
    ['everything cut off', 'delete from audit', { seq: 1, kind: 'cut' }],
    ['a row after the end', copy(8, 9), { seq: 9, kind: 'changed' }],
    ['a head set back', 'update audit_head set count = 7', { seq: 8, kind: 'inserted' }],
    ['a forged head', "update audit_head set hash = decode(repeat('11', 32), 'hex')", { seq: 8, kind: 'head' }],
  ])('found: %s', async (_, tamper, expected) => {
    const { database } = chain;
    await database.query(
      `delete from audit; insert into audit table kept;
       update audit_head h set count = k.count, hash = k.hash from kept_head k; ${tamper}`,
    );
    for (const rowsAtOnce of [3, 4, 2000]) {
      const { break: found } = await verifyAudit(database, { rowsAtOnce });
      if (expected === undefined) expect(found).toBeUndefined();
      else expect(found).toMatchObject(expected);
    }
  });

  test('a row that was replaced and hashed anew is named, by the row that was chained to it', async () => {
    const { database, drop } = await chainOf(5);
    const { hashOf } = await import('#audit/chain.ts');
    const { readRowsAfter } = await import('#audit/store.ts');
    const [row] = await readRowsAfter(database, 2, 1);
    const hash = hashOf({ ...row!, target: 'forged' }, 3, row!.previous);
    await database.query("update audit set target = 'forged', hash = $1 where seq = 3", [hash]);
    expect((await verifyAudit(database)).break).toMatchObject({ seq: 3, id: row?.id, kind: 'changed' });
    await drop();
  });

  test('a row that was chained in properly is found by those after it', async () => {
    const { database, drop } = await chainOf(5);
    const { hashOf } = await import('#audit/chain.ts');
    const { readRowsAfter } = await import('#audit/store.ts');
    const [row] = await readRowsAfter(database, 2, 1);
    await database.query(`${shift(3, 1)}; ${copy(4, 3)}`);
    const forged = { ...row!, id: 'aud_copy', target: 'forged' };
    const hash = hashOf(forged, 3, row!.previous);
    await database.query("update audit set target = 'forged', hash = $1 where seq = 3", [hash]);
    expect((await verifyAudit(database)).break).toMatchObject({ seq: 3, id: 'aud_copy', kind: 'inserted' });
    await drop();
  });

  test('a chain that was written anew is found by an end that was noted down', async () => {
    const { database, audit, drop } = await chainOf(3);
    const { head: anchor } = await verifyAudit(database);
    await audit.record(entry('t4'));
    expect((await verifyAudit(database, { anchor })).break).toBeUndefined();
    await database.query("delete from audit; update audit_head set count = 0, hash = decode(repeat('00', 32), 'hex')");
    const forger = createAudit({ database, clock: systemClock, log });
    for (let i = 1; i <= 5; i++) await forger.record(entry(`f${i}`));
    expect((await verifyAudit(database)).break).toBeUndefined();
    expect((await verifyAudit(database, { anchor })).break).toMatchObject({ seq: 3, kind: 'anchor' });
    await drop();
  });
});

describe('reading', () => {
  const times = [1, 2, 3, 4].map((hour) => new Date(Date.UTC(2026, 0, 1, hour)));
  const clockAt = (time: Date): Clock => ({ ...systemClock, now: () => time });

  test('by who, what, where and when; pages from the newest, lines from the oldest', async () => {
    const { database, drop } = await createTestDatabase();
    const eve = { id: 'usr_2', name: 'eve@example.com', kind: 'user' } as const;
    for (const [i, at] of times.entries())
      await createAudit({ database, clock: clockAt(at), log }).record(
        entry(`environments/local/${i}`, i === 3 ? { actor: eve, action: 'push', outcome: 'denied' } : {}),
      );
    const list = async (filter: Parameters<typeof listAudit>[1]) =>
      (await listAudit(database, filter, { limit: 10 })).items.map(({ seq }) => seq);
    expect(await list({})).toEqual([4, 3, 2, 1]);
    expect(await list({ actor: 'eve@example.com' })).toEqual([4]);
    expect(await list({ actor: 'usr_1' })).toEqual([3, 2, 1]);
    expect(await list({ action: 'push' })).toEqual([4]);
    expect(await list({ outcome: 'done', target: 'environments/local/1' })).toEqual([2]);
    expect(await list({ target: 'environments/%' })).toEqual([]);
    expect(await list({ since: times[1], until: times[3] })).toEqual([3, 2]);
    const first = await listAudit(database, {}, { limit: 3 });
    expect([first.items.map(({ seq }) => seq), first.next]).toEqual([[4, 3, 2], '2']);
    const second = await listAudit(database, {}, { limit: 3, beyond: 2 });
    expect([second.items.map(({ seq }) => seq), second.next]).toEqual([[1], null]);
    let text = '';
    for await (const part of exportAudit(database, { actor: 'ada@example.com' })) text += part;
    const lines = text.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).seq)).toEqual([1, 2, 3]);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ at: '2026-01-01T01:00:00.000Z', actor: { name: ada.name } });
    await drop();
  });
});

/** How many statements and transactions this database has seen. */
async function statements(database: Database): Promise<number> {
  await database.query('select pg_stat_force_next_flush()');
  const { rows } = await database.query<{ count: number }>(
    'select xact_commit + xact_rollback as count from pg_stat_database where datname = current_database()',
  );
  return rows[0]?.count ?? 0;
}
