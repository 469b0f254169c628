import type { Queryable } from './pool.ts';

/** How far a reader of the state repository has come: a full SHA, or undefined before its first time. */
export async function readCursor(database: Queryable, name: string): Promise<string | undefined> {
  const { rows } = await database.query<{ revision: string }>(
    'select revision from cursors where name = $1',
    [name],
    'cursor-read',
  );
  return rows[0]?.revision;
}

/** Notes how far a reader of the state repository has come. */
export async function writeCursor(tx: Queryable, name: string, revision: string): Promise<void> {
  await tx.query(
    `insert into cursors (name, revision) values ($1, $2)
     on conflict (name) do update set revision = excluded.revision, updated_at = now()`,
    [name, revision],
    'cursor-write',
  );
}

export async function removeCursor(database: Queryable, name: string): Promise<void> {
  await database.query('delete from cursors where name = $1', [name]);
}
