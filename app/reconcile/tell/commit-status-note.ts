import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Queryable } from '#database/pool.ts';
import { placeOf, projectName, root } from '#environments/layout.ts';
import type { Repository, Step } from '#git/repository.ts';
import { type Aspect, aspects, outcomeOf } from './commit-status.ts';
import { holdCursor, moveCursor, noteAttempt, type Touched } from './commit-status-store.ts';

export interface NoteDoors {
  readonly repository: Repository;
  readonly log: Log;
  /** Whether Plinth applies this environment; what another controller applies, nothing is said of. */
  readonly reports: (environment: string, tip: string) => Promise<boolean>;
}

/** Of more commits that came at once, the newest are reported; the others' projects are in them. */
const mostNoted = 200;
const mostSteps = 20_000;
/** So long a revision that this replica does not know is taken for one that it has not fetched yet. */
const patienceMs = 600_000;

/**
 * Notes what the commits changed that came to the branch since the last look, one by one and in their order; tells how
 * many they were. `behind`: another replica decides at this moment, or knows a newer tip.
 */
export async function noteCommits(doors: NoteDoors, tx: Queryable, tip: string): Promise<number | 'behind'> {
  const held = await holdCursor(tx);
  if (held === 'busy') return 'behind';
  if (held === 'none') {
    // What stood before there was anybody to tell it is not told.
    await moveCursor(tx, tip);
    return 0;
  }
  if (held.revision === tip) return 0;
  const steps = await stepsSince(doors, held, tip);
  if (steps === 'behind') return 'behind';
  for (const step of steps.slice(-mostNoted)) await noteCommit(doors, tx, step, tip);
  await moveCursor(tx, tip);
  return steps.length;
}

async function stepsSince(
  { repository, log }: NoteDoors,
  { revision, ageMs }: { readonly revision: string; readonly ageMs: number },
  tip: string,
): Promise<readonly Step[] | 'behind'> {
  const steps = await repository.steps(revision, tip, mostSteps);
  if (steps !== undefined) return steps;
  const older = await isOlder(repository, tip, revision);
  if (older === true || (older === 'unknown' && ageMs < patienceMs)) return 'behind';
  log.warn({ from: revision, to: tip }, 'the branch was rewritten; only its newest commit is reported to the Git host');
  const [parent] = (await repository.describe(tip)).parents;
  return parent === undefined ? [] : [{ before: parent, revision: tip }];
}

async function isOlder(repository: Repository, older: string, newer: string): Promise<boolean | 'unknown'> {
  try {
    return await repository.isAncestor(older, newer);
  } catch (error) {
    if (Fault.is(error, 'REVISION_UNKNOWN')) return 'unknown';
    throw error;
  }
}

async function noteCommit(doors: NoteDoors, tx: Queryable, { before, revision }: Step, tip: string): Promise<void> {
  const touched = new Map<string, Map<string, Touched>>();
  for (const { path } of await doors.repository.changed(before, revision, root)) {
    const place = placeOf(path);
    if (place.kind !== 'spec' && place.kind !== 'manifests') continue;
    const { environment } = place.key;
    const projects = touched.get(environment) ?? new Map<string, Touched>();
    touched.set(environment, projects);
    const name = projectName(place.key);
    const spec = place.kind === 'spec' || projects.get(name)?.spec === true;
    projects.set(name, { ...place.key, spec });
  }
  for (const [environment, projects] of touched) {
    if (!(await doors.reports(environment, tip))) continue;
    await noteAttempt(tx, { revision, environment, pending: pendingOf([...projects.keys()]) }, [...projects.values()]);
  }
}

/** What is told at first. */
function pendingOf(names: readonly string[]): Readonly<Record<Aspect, string>> {
  const rows = names.map((name) => ({ name, state: 'open', superseded: false }) as const);
  const text = (aspect: Aspect) =>
    outcomeOf(aspect, rows, new Map(), { state: 'pending', description: '' }).description;
  return Object.fromEntries(aspects.map((aspect) => [aspect, text(aspect)])) as Record<Aspect, string>; // all of them
}
