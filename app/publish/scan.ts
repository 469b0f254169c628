import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import { beginWalk } from '#base/walk.ts';
import { readCursor, writeCursor } from '#database/cursors.ts';
import { notify } from '#database/listen.ts';
import { InvalidInput } from '#environments/finding.ts';
import { environmentFolder, keyText, manifestsFile, type ProjectKey, placeOf, specFile } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { isFolder } from '#git/trees.ts';
import { environmentsCursor } from './environments.ts';
import { noteProject, writeIndex } from './git-index.ts';
import { otherOwner } from './hosts.ts';
import { renderSpec } from './prepare.ts';
import { makeSecrets, type PublishDoors } from './publish.ts';
import { type Refusal, recordRefusal } from './refusals.ts';
import { type CheckedSource, checkSource } from './source-check.ts';
import { endSourceProblems, type SourceProblem, writeSourceProblems } from './source-problems.ts';
import { acceptChange, recordRenders } from './store.ts';

/** Up to so many projects get the very commit that touched them into the index; beyond that, the scanned one. */
const mostNamed = 50;

/** Projects that are looked at before changes that wait have their turn: one large push holds nobody up. */
const mostAtOnce = 50;

/** A look at everything between two revisions, done in slices. */
export interface Scan {
  /** The revision that is scanned when the last slice is done. */
  readonly tip: string;
  /** Does one slice. True when it was the last. */
  step(): Promise<boolean>;
}

/**
 * Begins to look at what came into Git by other hands since the last scan: a pushed spec or environment.yaml whose
 * manifests are not what synth makes of it is answered by a change that renders it. Undefined: nothing came.
 */
export async function beginScan(doors: PublishDoors, scanned: string | undefined): Promise<Scan | undefined> {
  const tip = await doors.repository.tip();
  if (tip === undefined || tip === scanned) return undefined;
  const from = scanned ?? (await knownCursor(doors));
  const environments = await doors.environments.at(tip);
  const source = from === tip ? undefined : await checkSource(doors, from, tip);
  const touched = source === undefined ? [] : await touchedProjects(doors, source, tip);
  const named = touched.length <= mostNamed;
  let done = 0;
  const walk = beginWalk(doors, 'scan', { 'plinth.revision': tip, 'plinth.projects': touched.length });
  const slice = async () => {
    for (const key of touched.slice(done, done + mostAtOnce))
      if (source?.isHeld(key) === true) await keep(doors, key);
      else await look(doors, key, environments, tip, named);
    done += mostAtOnce;
    if (done < touched.length) return false;
    const isSound = (await doors.environments.faults(tip)).size === 0;
    if (from !== tip)
      await doors.database.transaction(async (tx) => {
        await writeCursor(tx, 'publish', tip);
        await notify(tx, 'revisions', tip);
      });
    // Whose domain is whose is known by it, also to those that start later.
    if (isSound) await writeCursor(doors.database, environmentsCursor, tip);
    walk.end();
    return true;
  };
  return { tip, step: () => (touched.length === 0 ? slice() : walk.step('slice', slice)) };
}

/** The stored cursor, unless the repository was replaced by one that does not know it. */
async function knownCursor({ repository, database, log }: PublishDoors): Promise<string | undefined> {
  const cursor = await readCursor(database, 'publish');
  if (cursor === undefined) return undefined;
  const known = await repository.describe(cursor).then(
    () => true,
    () => false,
  );
  if (!known)
    log.warn({ cursor }, 'the state repository no longer knows the last scanned revision; all of it is scanned');
  return known ? cursor : undefined;
}

async function touchedProjects(
  { repository }: PublishDoors,
  source: CheckedSource,
  tip: string,
): Promise<readonly ProjectKey[]> {
  const touched = new Map(source.touched);
  const folders = new Set<string>();
  for (const { path } of source.changes) {
    const place = placeOf(path);
    if (place.kind === 'environment') folders.add(environmentFolder(place.environment));
    if (place.kind === 'spec' || place.kind === 'manifests') touched.set(keyText(place.key), place.key);
  }
  // A changed environment.yaml concerns each of its projects.
  for (const folder of folders)
    for (const team of await foldersIn(repository, tip, folder, source))
      for (const path of await foldersIn(repository, tip, team, source)) {
        const place = placeOf(`${path}/project.yaml`);
        if (place.kind === 'spec') touched.set(keyText(place.key), place.key);
      }
  return [...touched.values()];
}

async function foldersIn(
  repository: PublishDoors['repository'],
  revision: string,
  folder: string,
  { isRefused }: CheckedSource,
): Promise<readonly string[]> {
  if (isRefused(folder)) return [];
  return (await repository.children(revision, folder)).filter(isFolder).map(({ name }) => `${folder}/${name}`);
}

/** Something in or above its folder is not taken up: it stays as it was, and is listed with why. */
async function keep({ database, clock }: PublishDoors, key: ProjectKey): Promise<void> {
  await database.transaction((tx) => noteProject(tx, key, newId('project', clock.now()), 'plinth'));
}

async function look(
  doors: PublishDoors,
  key: ProjectKey,
  environments: ReadonlyMap<string, Environment>,
  tip: string,
  named: boolean,
): Promise<void> {
  const [spec, manifests] = await doors.repository.readMany(tip, [specFile(key), manifestsFile(key)]);
  const environment = environments.get(key.environment);
  if (spec === undefined || environment === undefined) {
    await doors.database.transaction((tx) => writeIndex(tx, [{ key, id: '', actor: '', entry: undefined }]));
    if (manifests !== undefined && environment !== undefined) await askToRender(doors, key);
    return;
  }
  try {
    const rendered = renderSpec(key, spec, environment);
    if (manifests === undefined || Buffer.from(manifests).toString('utf8') !== rendered.manifests) {
      await endSourceProblems(doors.database, [specFile(key)]);
      return await askToRender(doors, key);
    }
    const specOf = (other: ProjectKey) => doors.repository.read(tip, specFile(other));
    const taken = await otherOwner({ database: doors.database, environments, specOf }, key, rendered.hosts);
    if (taken !== undefined) throw new Fault('HOST_TAKEN', { host: taken[0], owner: keyText(taken[1]) });
    await makeSecrets(doors.secrets, key, rendered.secrets, 'plinth');
    await recordRenders(doors.database, [{ ...key, ...rendered }]);
    const commit = named ? (await doors.repository.history(specFile(key), { limit: 1 }))[0] : undefined;
    const entry = { ...rendered, specBlob: blobIdOf(spec), revision: commit?.revision ?? tip };
    const id = newId('project', doors.clock.now());
    const actor = commit?.author.email ?? 'plinth';
    await doors.database.transaction((tx) => writeIndex(tx, [{ key, id, actor, entry }]));
  } catch (error) {
    if (!(error instanceof InvalidInput) && !(Fault.is(error) && !error.retry)) throw error;
    doors.log.warn({ ...key, findings: error.message }, 'a spec in Git cannot be rendered; its project stays as it is');
    await recordRefusal(doors.database, key, refusalOf(spec, error));
    const problem = { path: specFile(key), kind: 'spec', key, entry: '', revision: tip, ...reasonOf(error) } as const;
    await doors.database.transaction(async (tx) => {
      await noteProject(tx, key, newId('project', doors.clock.now()), 'plinth');
      await writeSourceProblems(tx, [problem]);
    });
  }
}

/** Why a spec is not taken up, for the project's page. */
function reasonOf(error: InvalidInput | Fault): Pick<SourceProblem, 'code' | 'detail' | 'findings'> {
  if (Fault.is(error)) return { code: error.code, detail: error.message, findings: [] };
  const detail = 'The spec in Git is not valid, and the project stays as it was; see findings.';
  return { code: 'SPEC_INVALID', detail, findings: error.findings };
}

/** The first fault says enough for a line; a person finds all of them by rendering the spec. */
function refusalOf(spec: Uint8Array, error: InvalidInput | Fault): Refusal {
  const specBlob = blobIdOf(spec);
  if (Fault.is(error)) return { specBlob, code: error.code, detail: error.message };
  const [first, ...others] = error.findings;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const place =
    first === undefined ? '' : `project.yaml${first.path === '' ? '' : `: ${first.path}`}: ${first.message}`;
  return { specBlob, code: 'SPEC_INVALID', detail: `${place}${more}` };
}

async function askToRender({ database, clock }: PublishDoors, key: ProjectKey): Promise<void> {
  const change = { ...key, id: newId('change', clock.now()), kind: 'render' as const, actor: 'plinth', message: '' };
  await database.transaction((tx) => acceptChange(tx, change));
}
