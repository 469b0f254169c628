import { parse } from 'yaml';
import { Fault } from '#base/errors.ts';
import { type Caller, mayEnter, teamsOf } from '#contract/caller.ts';
import type { Handlers } from '#contract/routes.ts';
import { manifestsFile, namespaceOf, type ProjectKey, projectName, specFile } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { readChanges } from '#publish/store.ts';
import type { EnvironmentRuntime } from '#reconcile/controllers.ts';
import { diffProject } from '#reconcile/diff.ts';
import { projectObjects } from '#reconcile/objects.ts';
import { readReports } from '#reconcile/reports.ts';
import { allowedViews } from './allowed.ts';
import { environmentNow, type ProjectDoors, tipOf } from './doors.ts';
import { listHistory, listProjects, type ProjectRow, readProject, readWaiting } from './store.ts';
import { toChangeView, toHistoryView, toReportView, toSummary, toWaitingView } from './views.ts';

/** Why a project of this environment has no status of its own: nothing is applied where there is no runtime. */
function noRuntimeProblem(doors: ProjectDoors, environment: string) {
  const found = doors.runtimeOf(environment);
  if (found?.runtime.kind !== 'none') return null;
  return { code: 'RUNTIME_NONE', detail: new Fault('RUNTIME_NONE', { environment, fix: found.because }).message };
}

/** A row of the project, or the fault that there is none. */
export async function projectRow(doors: ProjectDoors, key: ProjectKey): Promise<ProjectRow> {
  const row = await readProject(doors.database, key);
  if (row === undefined) throw new Fault('PROJECT_NOT_FOUND', { ...key });
  return row;
}

export const summaryOf = async (doors: ProjectDoors, key: ProjectKey) =>
  toSummary(await projectRow(doors, key), noRuntimeProblem(doors, key.environment));

export const listProjectsHandler =
  (doors: ProjectDoors): Handlers['listProjects'] =>
  async ({ caller, params, query }) => {
    await environmentNow(doors, params.environment);
    const rows = await listProjects(doors.database, {
      environment: params.environment,
      teams: teamsOf(caller, 'project:read'),
      team: query.team,
      health: query.health,
      text: query.q,
      after: query.after,
      limit: query.limit + 1,
    });
    const fallback = noRuntimeProblem(doors, params.environment);
    return {
      json: page(
        rows.map((row) => toSummary(row, fallback)),
        query.limit,
        projectName,
      ),
    };
  };

/** One item more than asked for was read, to know whether there is a next page. */
export function page<Item>(items: readonly Item[], limit: number, cursor: (item: Item) => string) {
  const shown = items.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown, next: items.length > limit && last !== undefined ? cursor(last) : null };
}

/** Reports that the view of a project shows. */
const mostReports = 20;

export const getProject =
  (doors: ProjectDoors): Handlers['getProject'] =>
  async ({ params: key, wanted }) => {
    const { tip, environment } = await environmentNow(doors, key.environment);
    const content = await doors.repository.read(tip, specFile(key));
    const spec = content === undefined ? undefined : Buffer.from(content).toString('utf8');
    const etag = spec === undefined ? undefined : blobIdOf(spec);
    if (wanted === 'yaml') {
      if (spec === undefined) throw new Fault('PROJECT_NOT_FOUND', { ...key });
      return { yaml: spec, etag };
    }
    const [row, changes, waiting, reports] = await Promise.all([
      projectRow(doors, key),
      readChanges(doors.database, { ...key, limit: 1 }),
      readWaiting(doors.database, key),
      readReports(doors.database, key, mostReports),
    ]);
    const parsed = spec === undefined ? null : parse(spec, { maxAliasCount: 100 });
    return {
      etag,
      json: {
        ...toSummary(row, noRuntimeProblem(doors, key.environment)),
        ...(await allowedViews(doors, key, environment, parsed?.reconcile?.mode)),
        etag: etag ?? null,
        spec: parsed,
        change: changes[0] === undefined ? null : toChangeView(changes[0]),
        waiting: waiting === undefined ? null : toWaitingView(waiting),
        reports: reports.map(toReportView),
        createdAt: row.created_at.toISOString(),
      },
    };
  };

export const getManifests =
  (doors: ProjectDoors): Handlers['getManifests'] =>
  async ({ params: key, query }) => {
    const revision = query.revision ?? (await tipOf(doors));
    const content = await doors.repository.read(revision, manifestsFile(key));
    if (content === undefined) throw new Fault('REVISION_NOT_FOUND', { ...key, revision });
    return { yaml: Buffer.from(content).toString('utf8'), etag: blobIdOf(content) };
  };

export const getDiff =
  (doors: ProjectDoors): Handlers['getDiff'] =>
  async ({ params: key, wanted, request }) => {
    const { tip } = await environmentNow(doors, key.environment);
    const runtime = clusterOf(doors, key.environment);
    const compared = await diffProject(
      { ...doors, runtime, environmentAt: doors.environments.one },
      key,
      tip,
      request.signal,
    );
    const text = compared.map(({ diff }) => diff).join('');
    if (wanted === 'text') return { text };
    const objects = compared.map(({ key: object, state, diff }) => ({ ...object, state, diff }));
    return { json: { revision: tip, equal: compared.every(({ state }) => state === 'equal'), objects } };
  };

/** The runtime of an environment that has one. @throws Fault RUNTIME_NONE with what to do */
function clusterOf(doors: ProjectDoors, environment: string): EnvironmentRuntime['runtime'] {
  const found = doors.runtimeOf(environment);
  if (found === undefined || found.runtime.kind === 'none')
    throw new Fault('RUNTIME_NONE', { environment, fix: found?.because ?? '' });
  return found.runtime;
}

export const getHistory =
  (doors: ProjectDoors): Handlers['getHistory'] =>
  async ({ params: key, query }) => {
    await projectRow(doors, key);
    const rows = await listHistory(doors.database, key, { before: historyId(query.after), limit: query.limit + 1 });
    return { json: page(rows.map(toHistoryView), query.limit, ({ id }) => id) };
  };

/** The cursor of a page of history. @throws Fault REQUEST_INVALID for what is no id of an entry */
function historyId(after: string | undefined): number | undefined {
  if (after === undefined) return undefined;
  if (/^\d{1,15}$/.test(after)) return Number(after);
  const message = `it is ${JSON.stringify(after)}; wanted is \`next\` of the page before`;
  throw new Fault('REQUEST_INVALID', { findings: [{ file: 'query', path: 'after', message }] });
}

export const listObjects =
  (doors: ProjectDoors): Handlers['listObjects'] =>
  async ({ params: key }) => {
    await projectRow(doors, key);
    const content = await doors.repository.read(await tipOf(doors), manifestsFile(key));
    const manifests = content === undefined ? undefined : Buffer.from(content).toString('utf8');
    return { json: { items: projectObjects(doors.runtimeOf(key.environment)?.runtime, key, manifests), next: null } };
  };

export const getLogs =
  (doors: ProjectDoors): Handlers['getLogs'] =>
  async ({ params, query, request }) => {
    await projectRow(doors, params);
    const runtime = clusterOf(doors, params.environment);
    const lines = await runtime.logs({
      namespace: namespaceOf(params),
      workload: params.container,
      container: params.container,
      follow: query.follow,
      tailLines: query.tail,
      signal: request.signal,
    });
    return { text: lines };
  };

/** True when this caller may see the project: lists are cut down to these. */
export function seesProject(caller: Caller, { environment, team }: { environment: string; team: string }): boolean {
  const teams = teamsOf(caller, 'project:read');
  return mayEnter(caller, environment) && (teams === 'all' || teams.includes(team));
}
