import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { StateRemote } from '#base/config.ts';
import { newId } from '#base/ids.ts';
import { createMetrics } from '#base/metrics.ts';
import { environmentFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { createEnvironments } from '#publish/environments.ts';
import { type PublishDoors, publishDue } from '#publish/publish.ts';
import { beginScan } from '#publish/scan.ts';
import { readSourceProblems } from '#publish/source-problems.ts';
import { acceptChange, type ChangeKind, readChange } from '#publish/store.ts';
import { openSecrets } from '#secrets/open.ts';
import { newCommit, runGit, silent } from '#support/git.ts';
import { type RemoteHost, useRemoteHost } from '#support/git-remote.ts';
import { useDatabase } from '#support/postgres.ts';
import { temporaryDirectory, useTemporaryDirectory } from '#support/temporary.ts';

export const db = useDatabase();
const folder = useTemporaryDirectory();
export const local = (domain = 'apps.localhost') =>
  `apiVersion: plinth.dev/v1\nkind: Environment\nruntime: none\ndomain: ${domain}\n`;
export const spec = (image: string) => `apiVersion: plinth.dev/v1
kind: Project
containers:
  web: { image: "${image}", port: 8080, route: / }
`;
export const key = (project: string, environment = 'local') => ({ environment, team: 'shop', project });

/** A publisher over the mirror of a remote, and somebody who writes into the remote itself. */
export async function begin(more?: Partial<StateRemote>) {
  const host = await useRemoteHost();
  const { path, remove } = temporaryDirectory('plinth-mirror');
  const options = { branch: 'main', log: silent } as const;
  const repository = await openRepository({
    ...options,
    directory: join(path, 'state.git'),
    remote: host.settings(more),
  });
  const other = await openRepository({ ...options, directory: host.directory });
  onTestFinished(async () => {
    await repository.close();
    await other.close();
    remove();
  });
  await db.database.query(
    'truncate changes, projects, hosts, renders, cursors, secret_values, confirmations, source_problems',
  );
  await commit(repository, { expected: undefined, commits: [newCommit({ [environmentFile('local')]: local() })] });
  const store = { database: db.database, log: silent, clock: systemClock, encryption: { dataDirectory: folder } };
  const doors: PublishDoors = {
    repository,
    database: db.database,
    secrets: (await openSecrets(store)).secrets,
    environments: createEnvironments(repository, db.database),
    clock: systemClock,
    log: silent,
    metrics: createMetrics(),
  };
  const accept = async (project: string, content?: string, more: { kind?: ChangeKind; expected?: string } = {}) => {
    const change = {
      id: newId('change', systemClock.now()),
      kind: content === undefined ? ('delete' as const) : ('put' as const),
      ...key(project),
      actor: 'ada@example.com',
      message: '',
      content,
      ...more,
    };
    await db.database.transaction((tx) => acceptChange(tx, change));
    return change.id;
  };
  const foreign = async (files: Record<string, string | null>) => await write(other, files);
  /** Fetches, scans and publishes until nothing is left. */
  let scanned: string | undefined;
  const settle = async () => {
    await repository.remote?.fetch();
    for (;;) {
      const scan = await beginScan(doors, scanned);
      while (!((await scan?.step()) ?? true)) {}
      const { ended, scanned: now } = await publishDue(doors, scan?.tip ?? scanned);
      scanned = now;
      if (ended === 0) return;
    }
  };
  const endOf = async (id: string) => {
    const change = await readChange(db.database, id);
    return change?.problem?.code ?? change?.state;
  };
  const read = async (path: string, from: Repository = other) => {
    const content = await from.read((await from.tip()) ?? '', path);
    return content === undefined ? undefined : Buffer.from(content).toString('utf8');
  };
  return { host, doors, repository, other, accept, foreign, settle, endOf, read };
}

const write = async (repository: Repository, files: Record<string, string | null>) =>
  (await commit(repository, { expected: await repository.tip(), commits: [newCommit(files, 'By hand')] }))[0] ?? '';
/** What is not taken up: path, kind, whose, code. */
export const problems = async () =>
  (await readSourceProblems(db.database)).map(({ path, kind, key: { environment, team, project }, code }) => [
    path,
    kind,
    [environment, team, project].filter((part) => part !== '').join('/'),
    code,
  ]);
/** The projects in the index. */
export const listed = async () =>
  (
    await db.database.query<{ project: string; revision: string | null }>(
      'select project, revision from projects order by project',
    )
  ).rows.map(({ project, revision }) => `${project} ${revision === null ? 'never' : 'indexed'}`);

/** Commits to the remote what stands in place of environments/: a row of a tree. */
export async function replaceRoot(host: RemoteHost, row: string): Promise<void> {
  const rows = (await git(host, ['ls-tree', 'main:']))
    .split('\n')
    .filter((one) => one !== '' && !one.endsWith('\tenvironments'));
  const tree = await git(host, ['mktree', '--missing'], [...rows, row].map((one) => `${one}\n`).join(''));
  await commitTree(host, tree);
}

/** Commits the tree of an earlier revision again. */
export const restoreRoot = (host: RemoteHost, revision: string) => commitTree(host, `${revision}^{tree}`);

async function commitTree(host: RemoteHost, tree: string): Promise<void> {
  await git(host, ['update-ref', 'refs/heads/main', await git(host, ['commit-tree', tree, '-p', 'main', '-m', 'All'])]);
}

export async function git(host: RemoteHost, args: string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await runGit(host.directory, args, { input });
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

export const blobOf = async (host: RemoteHost, content: string | Buffer) =>
  (await runGit(host.directory, ['hash-object', '-w', '--stdin'], { input: content })).stdout.trim();
