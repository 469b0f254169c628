import { Fault } from '#base/errors.ts';
import type { Finding } from '#environments/finding.ts';
import {
  environmentFile,
  environmentFolder,
  installationFile,
  keyText,
  names,
  type ProjectKey,
  placeOf,
  root,
} from '#environments/layout.ts';
import { isWithin, judgeRange } from '#git/judge.ts';
import type { TreeChange } from '#git/trees.ts';
import type { PublishDoors } from './publish.ts';
import { endSourceProblems, readSourceProblems, type SourceProblem, writeSourceProblems } from './source-problems.ts';

/** What came by other hands between two revisions, with what is not taken up of it. */
export interface CheckedSource {
  /** Below environments/, without what breaks a rule. */
  readonly changes: readonly TreeChange[];
  /** Whose folder something changed in, also if that was nothing that is read. */
  readonly touched: ReadonlyMap<string, ProjectKey>;
  /** Whether a project stays as it is, because of something in its folder or above it. */
  isHeld(key: ProjectKey): boolean;
  /** Whether this very path, or one above it, is not taken up. */
  isRefused(path: string): boolean;
}

/**
 * Asks the rules of the repository of everything between two revisions, writes down what breaks them, and takes away
 * what is mended. A push to our own server keeps them before it comes in; a remote takes what it likes.
 */
export async function checkSource(doors: PublishDoors, from: string | undefined, tip: string): Promise<CheckedSource> {
  const { repository, database, log, environments } = doors;
  const { changes, faults } = await judgeRange(repository, from, tip, root);
  const open = await readSourceProblems(database);
  const bad = new Set(faults.map(({ path }) => path));
  const mended: string[] = [];
  const standing: SourceProblem[] = [];
  for (const problem of open) {
    if (problem.kind !== 'path' || bad.has(problem.path)) continue;
    const now = await entryAt(doors, tip, problem.path);
    if (now === problem.entry) standing.push(problem);
    else mended.push(problem.path);
  }
  const found = await Promise.all(
    [...Map.groupBy(faults, ({ path }) => path)].map(async ([path, all]): Promise<SourceProblem> => {
      const texts = all.map(({ text }) => text);
      const findings = texts.map((text): Finding => ({ file: path, path: '', message: withoutPath(text) }));
      const detail = new Fault('SOURCE_REFUSED', { why: texts.join('; ').slice(0, 1000) }).message;
      const entry = await entryAt(doors, tip, path);
      return { path, kind: 'path', key: keyOf(path), entry, code: 'SOURCE_REFUSED', detail, findings, revision: tip };
    }),
  );
  const unreadable = await environmentProblems(await environments.faults(tip), tip);
  const stillUnreadable = new Set(unreadable.map(({ path }) => path));
  for (const { kind, path } of open) if (kind === 'environment' && !stillUnreadable.has(path)) mended.push(path);
  if (mended.length + found.length + unreadable.length > 0)
    await database.transaction(async (tx) => {
      await endSourceProblems(tx, mended);
      await writeSourceProblems(tx, [...found, ...unreadable]);
    });
  for (const { path, detail } of [...found, ...unreadable])
    log.warn({ path, tip, why: detail }, 'what came into Git here is not taken up');
  if (changes.some(({ path }) => path === installationFile))
    log.error({ path: installationFile, tip }, 'somebody changed the id of the installation in Git; put it back');
  const held = new Set([...standing, ...found].map(({ path }) => path));
  const touched = touchedBy([...changes, ...faults, ...mended.map((path) => ({ path }))]);
  const isRefused = (path: string) => isWithin(path, held);
  return { changes, touched, isRefused, isHeld: (key) => isRefused(folderOf(key)) || holdsBelow(folderOf(key), held) };
}

const folderOf = ({ environment, team, project }: ProjectKey) => `${environmentFolder(environment)}/${team}/${project}`;

const holdsBelow = (folder: string, held: ReadonlySet<string>) =>
  [...held].some((path) => path.startsWith(`${folder}/`));

/** Whose paths these are; what is no project's folder is nobody's. */
function touchedBy(all: readonly { readonly path: string }[]): ReadonlyMap<string, ProjectKey> {
  const touched = new Map<string, ProjectKey>();
  for (const { path } of all) {
    const key = keyOf(path);
    if (key.project !== '' && placeOf(path).kind !== 'environment') touched.set(keyText(key), key);
  }
  return touched;
}

/** The project, team or environment that a path is of, as far as its parts are names. */
function keyOf(path: string): ProjectKey {
  const [first, ...parts] = path.split('/');
  const key = { environment: '', team: '', project: '' };
  if (first !== root) return key;
  for (const [i, part] of (['environment', 'team', 'project'] as const).entries()) {
    const text = parts[i] ?? '';
    if (!names[part].pattern.test(text) || text === 'platform') break;
    key[part] = text;
  }
  return key;
}

/** What Git has at a path, to see later whether that is still so. */
async function entryAt({ repository }: PublishDoors, revision: string, path: string): Promise<string> {
  const entry = await repository.entry(revision, path).catch((error: unknown) => {
    // Of a folder that cannot be read nothing can be said but that.
    if (Fault.is(error, 'REPOSITORY_UNAVAILABLE')) return 'unreadable' as const;
    throw error;
  });
  if (entry === 'unreadable') return entry;
  return entry === undefined ? '' : `${entry.mode} ${entry.id}`;
}

async function environmentProblems(
  faults: ReadonlyMap<string, readonly Finding[]>,
  revision: string,
): Promise<readonly SourceProblem[]> {
  return [...faults].flatMap(([path, findings]) => {
    const place = placeOf(path);
    if (place.kind !== 'environment') return []; // What stands in place of the folder is found with the paths.
    const { environment } = place;
    const why = `${environmentFile(environment)}: ${findings.map(({ message }) => message).join('; ')}`.slice(0, 1000);
    const detail = new Fault('SOURCE_REFUSED', { why }).message;
    const key = { environment, team: '', project: '' };
    return [{ path, kind: 'environment', key, entry: '', code: 'SOURCE_REFUSED', detail, findings, revision } as const];
  });
}

/** The path stands beside the message already. */
const withoutPath = (text: string) => text.replace(/^"[^"]*": /, '');
