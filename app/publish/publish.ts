import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { TraceWalk } from '#base/tracing.ts';
import { beginWalk, type Walk } from '#base/walk.ts';
import type { Lease } from '#database/leases.ts';
import type { Database } from '#database/pool.ts';
import { InvalidInput } from '#environments/finding.ts';
import { environmentFile, keyText, manifestsFile, type ProjectKey, root, specFile } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { commit, type NewCommit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import { isFolder } from '#git/trees.ts';
import type { Secrets } from '#secrets/secrets.ts';
import type { Rendered } from '#synth/render.ts';
import type { PushBudget } from './budget.ts';
import { refuseCircle } from './circles.ts';
import type { Environments } from './environments.ts';
import type { Indexed } from './git-index.ts';
import { type HostDoors, otherOwner } from './hosts.ts';
import { type Before, type Edit, type Prepared, prepare, subjectOf } from './prepare.ts';
import {
  type Change,
  type ChangeProblem,
  claimChanges,
  type Ending,
  finishChanges,
  postponeChanges,
  recordRenders,
} from './store.ts';

export interface PublishDoors {
  readonly repository: Repository;
  readonly database: Database;
  readonly secrets: Secrets;
  readonly environments: Environments;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Absent where tracing is off. */
  readonly traceWalk?: TraceWalk | undefined;
  /** The right to be the one writer, for this piece of work; absent: there is one replica only. */
  readonly lease?: Lease | undefined;
  /** How many pushes the remote takes; absent: as many as there are. */
  readonly budget?: PushBudget | undefined;
}

const mostInCommit = 100;
/** Where a host takes only so many pushes, each carries more. */
const mostInPush = 500;
const mostTries = 8;
const firstDelayMs = 100;
const mostDelayMs = 5_000;
/** A remote that is back again ends the waiting at once. */
const mostRemoteDelayMs = 60_000;
/** Characters of a generated secret that names no length. */
const standardLength = 32;

/** A change that has edits to be written, and what they came from. */
interface Ready {
  readonly change: Change;
  readonly prepared: Prepared;
}

/**
 * Claims due changes and writes them as one group of commits: tip → render → equal? then done → objects, commit,
 * compare-and-swap; when someone was faster, again on the new tip.
 * @param scanned the revision up to which pushed commits have been looked at (see `scan.ts`)
 * @returns how many changes it ended, and the revision that needs no scan any more
 */
export async function publishDue(
  doors: PublishDoors,
  scanned: string | undefined,
): Promise<{ readonly ended: number; readonly scanned: string | undefined }> {
  const { database, metrics, budget, lease } = doors;
  const lane = budget?.open() ?? 'all';
  if (lane === 'none' || (await isBlocked(doors.repository))) return { ended: 0, scanned };
  const most = budget === undefined || !budget.isLimited ? mostInCommit : mostInPush;
  const claimed = await claimChanges(database, most, { proof: lease?.proof, lane });
  if (claimed.length === 0) return { ended: 0, scanned };
  const bases = new Map(claimed.flatMap(({ id, basedOn }) => (basedOn === undefined ? [] : [[id, basedOn] as const])));
  const walk = beginWalk(doors, 'publish', { 'plinth.changes': claimed.length });
  try {
    for (let tries = 1; ; tries++) {
      try {
        const group = await writeGroup({ ...doors, walk }, claimed, scanned, bases);
        walk.end();
        for (const { state } of group.endings) metrics.changes.inc({ state });
        return { ended: group.endings.length, scanned: group.scanned };
      } catch (error) {
        if (!Fault.is(error, 'REVISION_MOVED') || tries === mostTries || budget?.open() === 'none') throw error;
      }
    }
  } catch (error) {
    walk.end('failed');
    if (Fault.is(error, 'LEASE_LOST')) throw error; // Whoever has it now goes on with them.
    const ids = claimed.map((change) => change.id);
    await postponeChanges(database, ids, delayOf(claimed, error), bases).catch(() => {});
    throw error;
  }
}

/** Something else stands in place of environments/: what is written now would stand there alone. */
async function isBlocked(repository: Repository): Promise<boolean> {
  const tip = await repository.tip();
  const entry = tip === undefined ? undefined : await repository.entry(tip, root);
  return entry !== undefined && !isFolder(entry);
}

/** The doors of one group, with the walk that it is. */
type GroupDoors = PublishDoors & { readonly walk: Walk };

/** Full jitter: whoever waits for the same thing does not come back all at once. */
function delayOf(claimed: readonly Change[], error: unknown): number {
  const attempts = Math.max(...claimed.map((change) => change.attempts));
  const isRemote = Fault.is(error) && error.code.startsWith('REMOTE_');
  return (
    Math.random() * Math.min(isRemote ? mostRemoteDelayMs : mostDelayMs, firstDelayMs * 2 ** Math.min(attempts, 12))
  );
}

async function writeGroup(
  doors: GroupDoors,
  claimed: readonly Change[],
  scanned: string | undefined,
  bases: Map<string, string>,
) {
  const tip = await doors.repository.tip();
  const environments = tip === undefined ? new Map() : await doors.environments.at(tip);
  const overlay = new Map<string, string | null>();
  const endings: Ending[] = [];
  const ready: Ready[] = [];
  const depends = new Map<string, readonly string[]>();
  const hosts: HostClaims = {
    database: doors.database,
    environments,
    specOf: async (key) => (await readBefore(doors.repository, { ...key, kind: 'put' }, tip, overlay)).spec,
    taken: new Map(),
  };

  for (const change of claimed) {
    const written = await alreadyWritten(doors.repository, change, tip);
    if (written !== undefined) {
      endings.push({ change, state: 'committed', revision: written, problem: undefined });
      continue;
    }
    try {
      const environment = environments.get(change.environment);
      if (environment === undefined && change.kind !== 'settings')
        throw new Fault('ENVIRONMENT_NOT_FOUND', { environment: change.environment, known: [...environments.keys()] });
      await refuseOvertaken(doors.repository, change, tip, bases);
      const prepared = await doors.walk.step(
        'render',
        async () => prepare(change, await readBefore(doors.repository, change, tip, overlay), environment),
        { 'plinth.change': change.id, 'plinth.project': keyText(change) },
      );
      if (prepared.edits.length === 0) {
        await recordUnchanged(doors, change, prepared.rendered);
        endings.push({ change, state: 'unchanged', revision: tip, problem: undefined });
        continue;
      }
      await claimHosts(change, prepared.rendered?.hosts ?? [], hosts);
      await claimDependencies(doors.database, change, prepared.rendered?.dependsOnProjects ?? [], depends);
      await makeSecrets(doors.secrets, change, prepared.rendered?.secrets ?? [], change.actor);
      for (const edit of prepared.edits) overlay.set(edit.path, edit.content);
      ready.push({ change, prepared });
    } catch (error) {
      endings.push({ change, state: 'refused', revision: undefined, problem: problemOf(doors.log, change, error) });
    }
  }

  const revisions = await writeCommits(doors, tip, ready);
  ready.forEach(({ change }, i) => {
    endings.push({ change, state: 'committed', revision: revisions[i], problem: undefined });
  });
  // A changed environment.yaml and a change found in Git again need a look at their projects: the scan gives it.
  const plain = ready.every(({ change }) => change.kind !== 'settings') && tip === scanned && !endings.some(isFound);
  const last = revisions.at(-1);
  const cursor = plain ? last : undefined;
  const index = ready.flatMap((one, i) => indexOf(doors, one, revisions[i] ?? ''));
  await doors.walk.step('finish', () => finishChanges(doors.database, endings, { tip: last ?? tip, cursor, index }));
  return { endings, scanned: cursor ?? scanned };
}

/** Git has it already: of what synth made of it, the record may still be missing. */
async function recordUnchanged(doors: PublishDoors, change: Change, rendered: Prepared['rendered']): Promise<void> {
  if (rendered === undefined) return;
  await makeSecrets(doors.secrets, change, rendered.secrets, change.actor);
  await recordRenders(doors.database, [renderOf(change, rendered)]);
}

/**
 * A change that could not be written at once meets a new tip. Where another hand changed the same file meanwhile, it is
 * not put over that: its author is told. What is rendered anew has no author.
 * @throws Fault PRECONDITION_FAILED
 */
async function refuseOvertaken(
  repository: Repository,
  change: Change,
  tip: string | undefined,
  bases: Map<string, string>,
): Promise<void> {
  if (change.kind === 'render') return;
  const path = change.kind === 'settings' ? environmentFile(change.environment) : specFile(change);
  const now = tip === undefined ? '' : ((await repository.blobId(tip, path)) ?? '');
  const before = bases.get(change.id);
  if (before === undefined) bases.set(change.id, now);
  else if (before !== now)
    throw new Fault('PRECONDITION_FAILED', { expected: before || 'absent', actual: now || 'absent' });
}

/** Committed by an earlier process that was killed before it could write so. */
const isFound = ({ change, state }: Ending): boolean => state === 'committed' && change.attempts > 1;

function indexOf({ clock }: PublishDoors, { change, prepared }: Ready, revision: string): Indexed[] {
  if (change.kind === 'settings') return [];
  const { rendered, spec } = prepared;
  const entry =
    rendered === undefined || spec === undefined ? undefined : { ...rendered, specBlob: blobIdOf(spec), revision };
  return [{ key: change, id: newId('project', clock.now()), actor: change.actor, entry }];
}

/** What synth made is on record before the first byte goes to Git. */
async function writeCommits(
  doors: GroupDoors,
  tip: string | undefined,
  ready: readonly Ready[],
): Promise<readonly string[]> {
  if (ready.length === 0) return [];
  await recordRenders(
    doors.database,
    ready.flatMap(({ change, prepared }) =>
      prepared.rendered === undefined ? [] : [renderOf(change, prepared.rendered)],
    ),
  );
  const stopTimer = doors.metrics.commitSeconds.startTimer();
  const at = doors.clock.now();
  doors.lease?.assert();
  doors.budget?.spend();
  const commits = ready.map(({ change, prepared }) => commitOf(change, prepared, at));
  // With a remote the push is part of it: the branch moves there first.
  const assert = () => doors.lease?.assert();
  const revisions = await doors.walk.step(
    'commit',
    () => commit(doors.repository, { expected: tip, commits, assert }),
    {
      'plinth.commits': commits.length,
    },
  );
  stopTimer();
  return revisions;
}

/** Makes the secrets of a project that are generated and do not exist yet. */
export async function makeSecrets(
  secrets: Secrets,
  project: ProjectKey,
  used: Rendered['secrets'],
  actor: string,
): Promise<void> {
  const wanted = used.flatMap(({ name, generated, length = standardLength }) => (generated ? [{ name, length }] : []));
  if (wanted.length > 0) await secrets.ensureGenerated(project, wanted, actor);
}

const renderOf = ({ environment, team, project }: ProjectKey, rendered: Rendered) => ({
  environment,
  team,
  project,
  specDigest: rendered.specDigest,
  manifestsDigest: rendered.manifestsDigest,
  environmentDigest: rendered.environmentDigest,
  renderer: rendered.renderer,
});

function commitOf(change: Change, { edits, rendered }: Prepared, at: Date): NewCommit {
  const trailers: [string, string][] = [
    ['Plinth-Change', change.id],
    ['Plinth-Actor', change.actor],
  ];
  if (rendered !== undefined)
    trailers.push(['Plinth-Spec', rendered.specDigest], ['Plinth-Renderer', rendered.renderer]);
  return {
    edits: edits.map((edit: Edit) => ({ ...edit })),
    subject: subjectOf(change),
    body: change.message.split('\n').slice(1).join('\n').trim(),
    trailers,
    author: {
      name: change.actor,
      email: emailOf(change.actor),
    },
    at,
  };
}

/** People are named by their e-mail address; tokens and Plinth itself have none, whatever a token is called. */
const emailOf = (actor: string): string =>
  /^[^\s:<>]+@[^\s<>]+$/.test(actor) ? actor : `${actor.replace(/[^A-Za-z0-9._-]+/g, '-')}@plinth.localhost`;

/** A change that was tried before may be in Git already: a process was killed between the commit and its record. */
async function alreadyWritten(
  repository: Repository,
  change: Change,
  tip: string | undefined,
): Promise<string | undefined> {
  // Rendering again gives the same bytes, so only what a person wished must not be written twice.
  if (change.attempts <= 1 || tip === undefined || change.kind === 'render') return undefined;
  const path = change.kind === 'settings' ? environmentFile(change.environment) : specFile(change);
  const commits = await repository.history(path, { limit: 200 });
  const found = commits.find(({ trailers }) => trailers['Plinth-Change'] === change.id);
  if (found === undefined) return undefined;
  // Anyone who pushes can write a trailer: what counts is that the wish itself stands there.
  const wished = change.content === undefined ? undefined : blobIdOf(change.content);
  return (await repository.blobId(found.revision, path)) === wished ? found.revision : undefined;
}

async function readBefore(
  repository: Repository,
  change: Pick<Change, 'kind' | keyof ProjectKey>,
  tip: string | undefined,
  overlay: ReadonlyMap<string, string | null>,
): Promise<Before> {
  const paths =
    change.kind === 'settings' ? [environmentFile(change.environment)] : [specFile(change), manifestsFile(change)];
  const contents = tip === undefined ? paths.map(() => undefined) : await repository.readMany(tip, paths);
  const texts = paths.map((path, i) => {
    const changed = overlay.get(path);
    if (changed !== undefined) return changed ?? undefined;
    const content = contents[i];
    return content === undefined ? undefined : Buffer.from(content).toString('utf8');
  });
  if (change.kind === 'settings')
    return { spec: undefined, specBlob: undefined, manifests: undefined, environmentYaml: texts[0] };
  const specBlob = texts[0] === undefined ? undefined : blobIdOf(texts[0]);
  return { spec: texts[0], specBlob, manifests: texts[1], environmentYaml: undefined };
}

interface HostClaims extends HostDoors {
  /** By changes of this group. */
  readonly taken: Map<string, ProjectKey>;
}

/** @throws Fault HOST_TAKEN when another project, in Git or earlier in this group, serves one of the hosts */
async function claimHosts(change: Change, hosts: readonly string[], claims: HostClaims): Promise<void> {
  const { taken } = claims;
  const earlier = hosts.find((host) => keyText(taken.get(host) ?? change) !== keyText(change));
  const owned =
    earlier === undefined ? await otherOwner(claims, change, hosts) : ([earlier, taken.get(earlier)!] as const);
  if (owned !== undefined) throw new Fault('HOST_TAKEN', { host: owned[0], owner: keyText(owned[1]) });
  for (const host of hosts) taken.set(host, change);
}

/**
 * What Git says already is rendered as it is: reconcile tells of a circle there.
 * @param taken by changes of this group
 * @throws Fault DEPENDENCY_CIRCLE
 */
async function claimDependencies(
  database: Database,
  change: Change,
  on: readonly string[],
  taken: Map<string, readonly string[]>,
): Promise<void> {
  if (change.kind !== 'render') await refuseCircle(database, change, on, taken);
  taken.set(keyText(change), on);
}

/** What an error means for the one change that met it. Retryable faults are the whole group's: they are thrown on. */
function problemOf(log: Log, change: Change, error: unknown): ChangeProblem {
  if (error instanceof InvalidInput)
    return { code: 'SPEC_INVALID', detail: 'The spec is not valid; see findings.', findings: error.findings };
  if (Fault.is(error)) {
    if (error.retry) throw error;
    return { code: error.code, detail: error.message };
  }
  log.error({ change: change.id, err: error }, 'a change was refused for an unforeseen reason');
  return { code: 'INTERNAL', detail: new Fault('INTERNAL', { request: change.id }).message };
}
