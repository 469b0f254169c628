import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Database } from '#database/pool.ts';
import { InvalidInput } from '#environments/finding.ts';
import { environmentFile, keyText, manifestsFile, type ProjectKey, specFile } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { commit, type NewCommit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import type { Secrets } from '#secrets/secrets.ts';
import type { Rendered } from '#synth/render.ts';
import type { Environments } from './environments.ts';
import { type HostDoors, otherOwner } from './hosts.ts';
import { type Before, type Edit, type Prepared, prepare, subjectOf } from './prepare.ts';
import {
  type Change,
  type ChangeProblem,
  claimChanges,
  type Ending,
  finishChanges,
  type Indexed,
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
}

const mostInCommit = 100;
const mostTries = 8;
const firstDelayMs = 100;
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
  const claimed = await claimChanges(doors.database, mostInCommit);
  if (claimed.length === 0) return { ended: 0, scanned };
  try {
    for (let tries = 1; ; tries++) {
      try {
        const group = await writeGroup(doors, claimed, scanned);
        for (const { state } of group.endings) doors.metrics.changes.inc({ state });
        return { ended: group.endings.length, scanned: group.scanned };
      } catch (error) {
        if (!Fault.is(error, 'REVISION_MOVED') || tries === mostTries) throw error;
      }
    }
  } catch (error) {
    const attempts = Math.max(...claimed.map((change) => change.attempts));
    const delayMs = Math.min(5_000, firstDelayMs * 2 ** Math.min(attempts, 10));
    await postponeChanges(
      doors.database,
      claimed.map((change) => change.id),
      delayMs,
    ).catch(() => {});
    throw error;
  }
}

async function writeGroup(doors: PublishDoors, claimed: readonly Change[], scanned: string | undefined) {
  const tip = await doors.repository.tip();
  const environments = tip === undefined ? new Map() : await doors.environments.at(tip);
  const overlay = new Map<string, string | null>();
  const endings: Ending[] = [];
  const ready: Ready[] = [];
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
      const prepared = prepare(change, await readBefore(doors.repository, change, tip, overlay), environment);
      if (prepared.edits.length === 0) {
        if (prepared.rendered !== undefined) {
          await makeSecrets(doors.secrets, change, prepared.rendered.secrets, change.actor);
          await recordRenders(doors.database, [renderOf(change, prepared.rendered)]);
        }
        endings.push({ change, state: 'unchanged', revision: tip, problem: undefined });
        continue;
      }
      await claimHosts(change, prepared.rendered?.hosts ?? [], hosts);
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
  await finishChanges(doors.database, endings, { tip: last ?? tip, cursor, index });
  return { endings, scanned: cursor ?? scanned };
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
  doors: PublishDoors,
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
  const revisions = await commit(doors.repository, {
    expected: tip,
    commits: ready.map(({ change, prepared }) => commitOf(change, prepared, at)),
  });
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
