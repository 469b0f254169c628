import { assert, asyncProperty, constantFrom, integer, oneof, record, subarray, tuple } from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createAudit } from '#audit/audit.ts';
import { verifyAudit } from '#audit/verify.ts';
import { systemClock } from '#base/clock.ts';
import { captureLog } from '#support/captured-log.ts';
import { startProcess } from '#support/child-process.ts';
import { useDatabase } from '#support/postgres.ts';

const { log } = captureLog('silent');
const db = useDatabase();
const count = 12;

beforeAll(async () => {
  const { database } = db;
  const audit = createAudit({ database, clock: systemClock, log });
  for (let i = 1; i <= count; i++)
    await audit.record({
      actor: { id: `usr_${i}`, name: `p${i}@example.com`, kind: 'user', credential: 'password' },
      action: 'putProject',
      target: `projects/${i}`,
      outcome: 'done',
      status: 200 + i,
      address: `203.0.113.${i}`,
      userAgent: `agent ${i}`,
      requestId: `req_${i}`,
      before: i,
      after: -i,
      detail: { count: i },
    });
  await database.query('create table kept as table audit; create table kept_head as table audit_head');
});

async function restore(): Promise<void> {
  await db.database.query(
    `delete from audit; insert into audit table kept;
     update audit_head h set count = k.count, hash = k.hash from kept_head k`,
  );
}

const seq = integer({ min: 1, max: count });
const texts = ['id', 'actor_id', 'actor_name', 'credential', 'action', 'target', 'address', 'user_agent', 'request_id'];
const digests = ['before_digest', 'after_digest'];
const change = oneof(
  record({ seq, to: constantFrom(...texts, ...digests) }).map(
    ({ seq: at, to }) => `update audit set ${to} = ${to} || 'x' where seq = ${at}`,
  ),
  record({ seq, to: constantFrom('credential', 'status', 'address', 'user_agent', ...digests, 'detail') }).map(
    ({ seq: at, to }) => `update audit set ${to} = null where seq = ${at}`,
  ),
  seq.map((at) => `update audit set actor_kind = 'system' where seq = ${at}`),
  seq.map((at) => `update audit set outcome = 'denied' where seq = ${at}`),
  seq.map((at) => `update audit set status = status + 1 where seq = ${at}`),
  seq.map((at) => `update audit set at = at - interval '1 ms' where seq = ${at}`),
  seq.map((at) => `update audit set detail = detail || '{"more": 1}' where seq = ${at}`),
  record({ seq, to: constantFrom('previous', 'hash') }).map(
    ({ seq: at, to }) =>
      `update audit set ${to} = set_byte(${to}, 5, (get_byte(${to}, 5) + 1) % 256) where seq = ${at}`,
  ),
  subarray(
    Array.from({ length: count }, (_, i) => i + 1),
    { minLength: 1 },
  ).map((which) => `delete from audit where seq in (${which.join(', ')})`),
  tuple(seq, seq)
    .filter(([a, b]) => a !== b)
    .map(
      ([a, b]) =>
        `update audit set seq = -1 where seq = ${a}; update audit set seq = ${a} where seq = ${b}; update audit set seq = ${b} where seq = -1`,
    ),
  integer({ min: -count, max: 5 })
    .filter((by) => by !== 0)
    .map((by) => `update audit_head set count = count + ${by}`),
);

test('whatever is done to the rows by hand is found', async () => {
  const { database } = db;
  expect((await verifyAudit(database)).break).toBeUndefined();
  await assert(
    asyncProperty(change, async (sql) => {
      await restore();
      await database.query(sql);
      return (await verifyAudit(database, { rowsAtOnce: 5 })).break !== undefined;
    }),
    { numRuns: 150 },
  );
  await restore();
  expect((await verifyAudit(database)).break).toBeUndefined();
});

test('what was acknowledged survives a kill, and the chain is whole', async () => {
  const { database } = db;
  const { host, port, user, password, database: name } = db.connection;
  const connection = JSON.stringify({ host, port, user, password: password.reveal(), database: name });
  const child = startProcess(new URL('./audit.process.ts', import.meta.url), [connection]);
  const acknowledged: string[] = [];
  while (acknowledged.length < 300) acknowledged.push(await child.line());
  await child.kill('SIGKILL');
  const { rows } = await database.query<{ target: string }>('select target from audit where action = $1', ['killed']);
  const stored = new Set(rows.map(({ target }) => target));
  expect(acknowledged.filter((target) => !stored.has(target))).toEqual([]);
  expect((await verifyAudit(database)).break).toBeUndefined();
});
