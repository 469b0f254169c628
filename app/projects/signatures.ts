import { Fault } from '#base/errors.ts';
import type { Handlers } from '#contract/routes.ts';
import { readCursor, writeCursor } from '#database/cursors.ts';
import { notify } from '#database/listen.ts';
import { signatureCursor } from '#reconcile/signatures.ts';
import { environmentNow, type ProjectDoors } from './doors.ts';

/** POST …/accept: what came up to this revision counts as looked at; what comes after is judged as ever. */
export const acceptRevision =
  (doors: ProjectDoors): Handlers['acceptRevision'] =>
  async ({ params, body }) => {
    const { tip, environment } = await environmentNow(doors, params.environment);
    const { revision, reason } = body;
    const known = await doors.repository.isAncestor(revision, tip).catch(absentRevision);
    if (!known) throw new Fault('REVISION_NOT_ON_BRANCH', { revision });
    const name = signatureCursor(environment.name);
    const before = await readCursor(doors.database, name);
    await doors.database.transaction(async (tx) => {
      await writeCursor(tx, name, revision);
      await notify(tx, 'signatures', environment.name);
    });
    return { audit: { before, after: revision, detail: { revision, reason } } };
  };

function absentRevision(error: unknown): false {
  if (!Fault.is(error, 'REVISION_UNKNOWN')) throw error;
  return false;
}
