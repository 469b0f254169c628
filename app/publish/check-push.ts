import type { Database } from '#database/pool.ts';
import { type Finding, formatFinding, InvalidInput } from '#environments/finding.ts';
import {
  environmentFile,
  environmentFolder,
  installationFile,
  keyText,
  manifestsFile,
  type ProjectKey,
  placeOf,
  root,
  specFile,
} from '#environments/layout.ts';
import { loadEnvironments } from '#environments/load.ts';
import { type Environment, environmentNameFault } from '#environments/schema.ts';
import type { Push, PushPlace, PushView } from '#git/serve.ts';
import { isFolder, type TreeChange } from '#git/trees.ts';
import { type Rendered, refuseVolumeChanges } from '#synth/render.ts';
import { signatureFaults } from './check-signatures.ts';
import { circleOf } from './circles.ts';
import { mostProjects, renderSpec } from './prepare.ts';
import { countStanding, readHosts } from './store.ts';

const mostLines = 40;
/** A changed environment.yaml is tried on so many of its projects; the rest is told by their changes. */
const mostConcerned = 500;

/**
 * Judges a push before it is accepted: places that the pusher may change, paths that mean something, well-formed
 * environments and specs, manifests that synth made, hosts that are free. Returns what is wrong, for the pusher's
 * terminal; nothing means that it may come in.
 */
export async function checkPush(
  database: Database,
  { view, mayWrite, ownKey }: Pick<Push, 'view' | 'mayWrite' | 'ownKey'>,
): Promise<readonly string[]> {
  const all = await view.changed();
  // Alone, and first: what is wrong with other teams' specs is nobody else's business.
  const foreign = all.flatMap((change) => rightFaults(change, mayWrite));
  if (foreign.length > 0) return linesOf(foreign);
  const changed = all.filter(({ path }) => path.startsWith(`${root}/`));
  const findings: Finding[] = changed.flatMap(({ path, after }) => pathFaults(path, after));
  for (const { path, after } of changed)
    if (after === undefined) findings.push(...(await orphanFaults(database, path)));
  findings.push(...(await signatureFaults(view, ownKey)));
  const environments = await readEnvironments(view, findings);
  if (environments !== undefined && findings.length === 0) {
    const keys = await concernedProjects(view, changed);
    findings.push(...(await teamFaults(view, keys)), ...(await projectFaults(database, view, keys, environments)));
  }
  return linesOf(findings);
}

function linesOf(findings: readonly Finding[]): readonly string[] {
  const lines = findings.slice(0, mostLines).map(formatFinding);
  if (findings.length > mostLines) lines.push(`… and ${findings.length - mostLines} more`);
  return lines;
}

/** A project is its team's; environments, platform files and whatever else the repository holds are everybody's. */
function rightFaults({ path, after }: TreeChange, mayWrite: Push['mayWrite']): Finding[] {
  const place = pushPlaceOf(path, after === undefined);
  if (mayWrite(place)) return [];
  const { environment, team, removed } = place;
  const ofEnvironment = environment !== undefined && team === undefined;
  const more = `${ofEnvironment ? ' and environment:write' : ''}${removed ? ' and project:delete' : ''}`;
  const rights = `state:write and project:write${more}`;
  const where =
    team !== undefined
      ? `team ${team} in ${environment}`
      : `every team${environment === undefined ? '' : ` in ${environment}`}`;
  return [{ file: path, path: '', message: `is not yours to change: that needs ${rights} for ${where}` }];
}

function pushPlaceOf(path: string, removed: boolean): PushPlace {
  const place = placeOf(path);
  if (place.kind === 'environment') return { environment: place.environment };
  if (place.kind !== 'spec' && place.kind !== 'manifests') return {};
  const { environment, team } = place.key;
  return { environment, team, removed: removed && place.kind === 'spec' };
}

/** The projects that a push changes, and those whose environment it changes: they must still render there. */
async function concernedProjects(
  view: PushView,
  changed: readonly { readonly path: string; readonly after?: string }[],
): Promise<readonly ProjectKey[]> {
  const keys = new Map<string, ProjectKey>();
  const add = (key: ProjectKey) => keys.set(keyText(key), key);
  for (const { path, after } of changed) {
    const place = placeOf(path);
    if (place.kind === 'spec' || place.kind === 'manifests') add(place.key);
    if (place.kind !== 'environment' || after === undefined) continue;
    for (const key of await projectsOf(view, place.environment)) if (keys.size < mostConcerned) add(key);
  }
  return [...keys.values()];
}

async function projectsOf(view: PushView, environment: string): Promise<readonly ProjectKey[]> {
  const folder = environmentFolder(environment);
  const teams = (await view.children(folder)).filter(isFolder);
  const projects = await Promise.all(teams.map(({ name }) => view.children(`${folder}/${name}`)));
  return teams.flatMap(({ name: team }, i) =>
    (projects[i] ?? []).filter(isFolder).map(({ name: project }) => ({ environment, team, project })),
  );
}

/** @see mostProjects; the API counts as well */
async function teamFaults(view: PushView, keys: readonly ProjectKey[]): Promise<Finding[]> {
  const folders = new Set(keys.map(({ environment, team }) => `${environmentFolder(environment)}/${team}`));
  const faults = [...folders].map(async (file): Promise<Finding[]> => {
    const count = (await view.children(file)).filter(isFolder).length;
    return count <= mostProjects
      ? []
      : [{ file, path: '', message: `${count} projects; a team has ${mostProjects} at the most` }];
  });
  return (await Promise.all(faults)).flat();
}

function pathFaults(path: string, after: string | undefined): Finding[] {
  const place = placeOf(path);
  const fault = (message: string): Finding[] => [{ file: path, path: '', message }];
  if (path === installationFile) return fault('belongs to Plinth and is never changed');
  if (place.kind === 'unknown')
    return after === undefined
      ? []
      : fault('has no meaning here; a project is environments/<environment>/<team>/<project>/project.yaml');
  return [];
}

/** An environment that goes while its projects stand in a cluster would leave objects that nobody looks after. */
async function orphanFaults(database: Database, path: string): Promise<Finding[]> {
  const place = placeOf(path);
  const standing = place.kind === 'environment' ? await countStanding(database, place.environment) : 0;
  if (standing === 0) return [];
  const message = `${standing} of its projects still have objects in the cluster; delete these first, then the environment`;
  return [{ file: path, path: '', message }];
}

async function readEnvironments(
  view: PushView,
  findings: Finding[],
): Promise<ReadonlyMap<string, Environment> | undefined> {
  const folders = (await view.children(root)).filter((entry) => isFolder(entry) && entry.name !== 'platform');
  const files: { path: string; content: Uint8Array }[] = [];
  for (const { name } of folders) {
    const path = environmentFile(name);
    const fault = environmentNameFault(name);
    const content = await view.read(path);
    if (fault !== undefined) findings.push({ file: path, path: '', message: fault });
    else if (content === undefined)
      findings.push({
        file: path,
        path: '',
        message: 'is missing: every folder below environments/ is an environment',
      });
    else files.push({ path, content });
  }
  try {
    return loadEnvironments(files);
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    findings.push(...error.findings);
    return undefined;
  }
}

/** What a push changes, by path, and the blobs of the files that it takes away. */
interface Changes {
  readonly changes: ReadonlyMap<string, TreeChange>;
  readonly left: ReadonlySet<string>;
}

const changesOf = (all: readonly TreeChange[]): Changes => ({
  changes: new Map(all.map((change) => [change.path, change])),
  left: new Set(all.flatMap(({ before, after }) => (before !== undefined && after === undefined ? [before] : []))),
});

async function projectFaults(
  database: Database,
  view: PushView,
  keys: readonly ProjectKey[],
  environments: ReadonlyMap<string, Environment>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const changes = changesOf(await view.changed());
  const rendered = new Map<string, { key: ProjectKey; hosts: readonly string[]; on: readonly string[] }>();
  for (const key of keys) {
    try {
      const made = await renderPushed(view, key, environments);
      // A default of the environment may change; what a person writes about a volume that is there, may not.
      if (made !== undefined && changes.changes.has(specFile(key))) await refuseSmaller(view, key, made);
      if (made !== undefined) rendered.set(keyText(key), { key, hosts: made.hosts, on: made.dependsOnProjects });
      findings.push(...(await manifestsFaults(view, changes, key, made)));
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      findings.push(...error.findings);
    }
  }
  return [
    ...findings,
    ...(await hostFaults(database, keys, rendered)),
    ...(await circleFaults(database, keys, rendered)),
  ];
}

async function renderPushed(
  view: PushView,
  key: ProjectKey,
  environments: ReadonlyMap<string, Environment>,
): Promise<Rendered | undefined> {
  const spec = await view.read(specFile(key));
  if (spec === undefined) return undefined;
  const environment = environments.get(key.environment);
  if (environment === undefined)
    throw new InvalidInput([{ file: specFile(key), path: '', message: `there is no environment ${key.environment}` }]);
  return renderSpec(key, spec, environment);
}

/** @throws InvalidInput where a volume that the project has would lose its data */
async function refuseSmaller(view: PushView, key: ProjectKey, made: Rendered): Promise<void> {
  const before = await view.readBefore(manifestsFile(key));
  refuseVolumeChanges(key, before && new TextDecoder().decode(before), made);
}

/**
 * manifests.yaml is Plinth's: a push may leave it as it was, take it away with its spec, bring what synth makes, or
 * carry it along when a folder is renamed, which a rendering commit answers.
 */
async function manifestsFaults(
  view: PushView,
  { changes, left }: Changes,
  key: ProjectKey,
  made: Rendered | undefined,
): Promise<Finding[]> {
  const path = manifestsFile(key);
  const change = changes.get(path);
  if (change === undefined) return [];
  const content = await view.read(path);
  if (made === undefined && content === undefined) return [];
  const cameAlong = change.after !== undefined && left.has(change.after);
  if (made !== undefined && content !== undefined && cameAlong) return [];
  if (made !== undefined && content !== undefined && Buffer.from(content).toString('utf8') === made.manifests)
    return [];
  return [
    { file: path, path: '', message: 'is written by Plinth only; change project.yaml and leave this file as it is' },
  ];
}

/** What stands in the index is as old as the tip; what is pushed, and what leaves with it, counts in its place. */
async function circleFaults(
  database: Database,
  keys: readonly ProjectKey[],
  rendered: ReadonlyMap<string, { key: ProjectKey; on: readonly string[] }>,
): Promise<Finding[]> {
  const overlay = new Map(keys.map((key) => [keyText(key), rendered.get(keyText(key))?.on ?? []]));
  const findings: Finding[] = [];
  for (const { key, on } of rendered.values()) {
    const circle = await circleOf(database, key, on, overlay);
    if (circle.length > 0)
      findings.push({
        file: specFile(key),
        path: 'dependsOn',
        message: `it would wait for itself: ${circle.join(' → ')}`,
      });
  }
  return findings;
}

async function hostFaults(
  database: Database,
  keys: readonly ProjectKey[],
  rendered: ReadonlyMap<string, { key: ProjectKey; hosts: readonly string[] }>,
): Promise<Finding[]> {
  const pushed = new Set(keys.map(keyText));
  const owners = await readHosts(
    database,
    [...rendered.values()].flatMap(({ hosts }) => hosts),
  );
  const taken = new Map<string, string>();
  const findings: Finding[] = [];
  for (const { key, hosts } of rendered.values())
    for (const host of hosts) {
      const stored = owners.get(host);
      const owner =
        taken.get(host) ?? (stored === undefined || pushed.has(keyText(stored)) ? undefined : keyText(stored));
      if (owner !== undefined && owner !== keyText(key))
        findings.push({ file: specFile(key), path: '', message: `host ${host} belongs to ${owner}` });
      taken.set(host, keyText(key));
    }
  return findings;
}
