import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Database } from './pool.ts';

export interface InstallationOptions {
  readonly database: Database;
  readonly log: Log;
  /** A new id, for the first start of all. */
  readonly newId: string;
  /** The id that stands in Git; undefined: the repository has none, as it has no commit yet. */
  readonly inGit: string | undefined;
  /** What tells this repository from every other one, also before its first commit; the same for all replicas. */
  readonly repository: string;
}

interface Row {
  readonly id: string;
  readonly repository: string | null;
}

/**
 * The id of this installation, made once. A database belongs to one state repository from its first use on: a new
 * database beside an old repository takes the repository's id; another repository beside a database that has one is
 * refused, also where neither has a commit yet. A repository that carries the right id may have moved.
 * @throws Fault INSTALLATION_MIXED; nothing was touched then
 */
export async function claimInstallation(options: InstallationOptions): Promise<string> {
  const { database, log, newId, inGit, repository } = options;
  if (inGit === undefined && (await hasCommitted(database)))
    throw mixed('(none: DATA_DIR has no state repository)', await readRow(database));
  await database.query('insert into installation (id, repository) values ($1, $2) on conflict do nothing', [
    inGit ?? newId,
    repository,
  ]);
  // Of a version that did not note the repository.
  await database.query('update installation set repository = $1 where repository is null', [repository]);
  const row = await readRow(database);
  if (inGit !== undefined && row?.id !== inGit) throw mixed(inGit, row);
  if (inGit === undefined && row?.repository !== repository) throw mixed('(none: it is new)', row);
  if (row === undefined) throw new Error('the installation was taken away while it was read');
  if (row.repository !== repository) {
    await database.query('update installation set repository = $1', [repository]);
    log.info({ installation: row.id, before: row.repository, after: repository }, 'the state repository has moved');
  }
  return row.id;
}

const mixed = (git: string, row: Row | undefined) =>
  new Fault('INSTALLATION_MIXED', { git, database: row === undefined ? '(none)' : row.id });

const readRow = async (database: Database): Promise<Row | undefined> =>
  (await database.query<Row>('select id, repository from installation')).rows[0];

/** Whether the database knows commits: then there is a repository somewhere, and a new one must not take its place. */
const hasCommitted = async (database: Database) =>
  (await database.query('select from changes where revision is not null limit 1')).rowCount === 1;
