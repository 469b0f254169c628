import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Database, Queryable } from './pool.ts';

interface Migration {
  /** File name without `.sql`: four digits, an underscore, what it is for. */
  readonly name: string;
  readonly sql: string;
  readonly digest: string;
}

interface Applied {
  readonly name: string;
  readonly digest: string;
  readonly applied_at: Date;
}

export interface MigrateOptions {
  readonly database: Database;
  readonly log: Log;
  /** Folder of `0001_name.sql`, `0002_…`. Default: the one beside this file. */
  readonly folder?: string;
}

/** Any number that nobody else uses; it is the lock's name. */
const lock = 7_010_401;

/**
 * Applies what is new, in order, each file in a transaction of its own. Forward only: what was applied never changes.
 * Of several processes at once one applies and the others wait, then find nothing to do.
 *
 * @returns names of the migrations applied by this call
 * @throws Fault MIGRATION_CHANGED, MIGRATION_UNKNOWN (the database is ahead of this version), MIGRATION_FAILED
 */
export async function migrate({ database, log, folder }: MigrateOptions): Promise<readonly string[]> {
  const known = await readMigrations(folder ?? fileURLToPath(new URL('./migrations/', import.meta.url)));
  const done: string[] = [];
  for (;;) {
    const name = await database.transaction((tx) => applyNext(tx, known));
    if (name === undefined) return done;
    log.info({ migration: name }, 'migration applied');
    done.push(name);
  }
}

/** The name of the one that was applied, or undefined when there is none left. */
async function applyNext(tx: Queryable, known: readonly Migration[]): Promise<string | undefined> {
  await tx.query('set local statement_timeout = 0');
  await tx.query('select pg_advisory_xact_lock($1)', [lock]);
  await tx.query(
    `create table if not exists migrations (
       name text primary key, digest text not null, applied_at timestamptz not null default now())`,
  );
  const { rows: applied } = await tx.query<Applied>('select name, digest, applied_at from migrations order by name');
  applied.forEach((row, index) => {
    checkApplied(row, known[index], known);
  });
  const next = known[applied.length];
  if (next === undefined) return undefined;
  await applyOne(tx, next);
  await tx.query('insert into migrations (name, digest) values ($1, $2)', [next.name, next.digest]);
  return next.name;
}

/** What was applied must be the beginning of what is known, byte by byte. */
function checkApplied(row: Applied, expected: Migration | undefined, known: readonly Migration[]): void {
  if (!known.some(({ name }) => name === row.name)) throw new Fault('MIGRATION_UNKNOWN', { name: row.name });
  if (expected?.name !== row.name)
    throw new Fault('MIGRATION_FAILED', {
      name: expected?.name,
      why: `it comes before ${row.name}, which was applied already; give it a higher number`,
    });
  if (expected.digest !== row.digest)
    throw new Fault('MIGRATION_CHANGED', { name: row.name, appliedAt: row.applied_at.toISOString() });
}

async function applyOne(tx: Queryable, { name, sql }: Migration): Promise<void> {
  try {
    await tx.query(sql);
  } catch (error) {
    if (Fault.is(error) || !(error instanceof Error)) throw error;
    const position = Number((error as { position?: string }).position); // pg's DatabaseError; absent elsewhere
    const line = Number.isFinite(position) ? ` (line ${sql.slice(0, position).split('\n').length})` : '';
    throw new Fault('MIGRATION_FAILED', { name, why: `${error.message}${line}` }, { cause: error });
  }
}

async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (file, index) => {
      const name = file.slice(0, -'.sql'.length);
      const number = String(index + 1).padStart(4, '0');
      if (!/^\d{4}_[a-z0-9_]+$/.test(name) || !name.startsWith(number))
        throw new Fault('MIGRATION_FAILED', { name, why: `its place is number ${number}; numbers have no gaps` });
      const sql = await readFile(join(folder, file), 'utf8');
      return { name, sql, digest: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}
