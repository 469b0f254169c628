import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Handlers } from '#contract/routes.ts';
import { manifestsFile, type ProjectKey, specFile } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { renderSpec } from '#publish/prepare.ts';
import { acceptChange } from '#publish/store.ts';
import { whyNotAgain } from '#reconcile/signature-rules.ts';
import { environmentNow, type ProjectDoors, tipOf } from './doors.ts';
import { accepted } from './put.ts';
import { projectRow, summaryOf } from './read.ts';
import { confirmWaiting, type ProjectRow, readProject, readWaiting, wakeProject, writeHold } from './store.ts';
import { askRun } from './switch-store.ts';

/** POST …/reconcile: compares everything once more, reading holds, secrets and manifests anew; windows may let it pass. */
export const reconcileNow =
  (doors: ProjectDoors): Handlers['reconcileProject'] =>
  async ({ caller, params: key }) => {
    await projectRow(doors, key);
    const manifests = await doors.repository.blobId(await tipOf(doors), manifestsFile(key));
    await askRun(doors.database, key, manifests ?? '', caller.name, doors.clock.now());
    await wakeProject(doors.database, key);
    return { status: 202, json: await summaryOf(doors, key) };
  };

/** POST …/suspend: nothing is applied or removed until the hold ends; commits are recorded meanwhile. */
export const suspendProject =
  (doors: ProjectDoors): Handlers['suspendProject'] =>
  async ({ caller, params: key, body }) => {
    const before = holdOf(await projectRow(doors, key));
    const until = body.until === undefined ? undefined : new Date(body.until);
    if (until !== undefined && until <= doors.clock.now())
      throw new Fault('REQUEST_INVALID', {
        findings: [{ file: 'body', path: 'until', message: `${body.until} is in the past` }],
      });
    await writeHold(doors.database, key, { hold: 'detect', reason: body.reason, actor: caller.name, until });
    await wakeProject(doors.database, key);
    const after = holdOf(await projectRow(doors, key));
    return { json: await summaryOf(doors, key), audit: { before, after } };
  };

export const resumeProject =
  (doors: ProjectDoors): Handlers['resumeProject'] =>
  async ({ caller, params: key }) => {
    const before = holdOf(await projectRow(doors, key));
    await writeHold(doors.database, key, { hold: 'none', reason: '', actor: caller.name, until: undefined });
    await wakeProject(doors.database, key);
    return { json: await summaryOf(doors, key), audit: { before } };
  };

/** POST …/confirm: yes to exactly the list with this digest. */
export const confirmProject =
  (doors: ProjectDoors): Handlers['confirmProject'] =>
  async ({ caller, params: key, body }) => {
    await projectRow(doors, key);
    if (!(await confirmWaiting(doors.database, key, body.digest, caller.name))) {
      const waiting = await readWaiting(doors.database, key);
      if (waiting === undefined) throw new Fault('NOTHING_TO_CONFIRM', { ...key });
      throw new Fault('CONFIRMATION_WRONG', { given: body.digest, wanted: waiting.digest });
    }
    await wakeProject(doors.database, key);
    const audit = { before: { waiting: body.digest }, after: { confirmed: body.digest } };
    return { status: 202, json: await summaryOf(doors, key), audit };
  };

/** What the audit keeps a digest of; undefined: the project is not held. */
const holdOf = ({ hold, hold_reason: reason, hold_until: until }: ProjectRow) =>
  hold === null ? undefined : { hold, reason, until };

/** POST …/rollback: the spec of an earlier revision becomes the newest commit; promotion is off from then on. */
export const rollbackProject =
  (doors: ProjectDoors): Handlers['rollbackProject'] =>
  async ({ caller, params: key, body }) => {
    const { tip, environment } = await environmentNow(doors, key.environment);
    const row = await readProject(doors.database, key);
    const before = await doors.repository.blobId(tip, specFile(key));
    const content = await doors.repository.read(body.revision, specFile(key)).catch(absentRevision);
    if (content === undefined) throw new Fault('REVISION_NOT_FOUND', { ...key, revision: body.revision });
    await refuseUnsigned(doors, key, body.revision, tip);
    const spec = Buffer.from(content).toString('utf8');
    renderSpec(key, spec, environment);
    const change = await doors.database.transaction((tx) =>
      acceptChange(tx, {
        id: newId('change', doors.clock.now()),
        kind: 'rollback',
        ...key,
        actor: caller.name,
        content: spec,
        leaves: row?.revision ?? undefined,
        message: body.message ?? `Roll back ${key.team}/${key.project} to ${body.revision.slice(0, 12)}`,
      }),
    );
    return { ...accepted(change), audit: { before, after: blobIdOf(spec) } };
  };

/** Plinth would sign it. @throws Fault REVISION_UNSIGNED */
async function refuseUnsigned(doors: ProjectDoors, key: ProjectKey, revision: string, tip: string): Promise<void> {
  const path = specFile(key);
  const why = await whyNotAgain({ ...doors, environmentAt: doors.environments.one }, key, { revision, tip });
  if (why !== undefined) throw new Fault('REVISION_UNSIGNED', { path, ...why });
}

/** A commit that is not there holds no spec either. */
function absentRevision(error: unknown): undefined {
  if (!Fault.is(error, 'REVISION_UNKNOWN')) throw error;
}
