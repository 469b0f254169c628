import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Handlers } from '#contract/routes.ts';
import { manifestsFile, type ProjectKey, projectName, specFile } from '#environments/layout.ts';
import { acceptChange, readChanges } from '#publish/store.ts';
import { environmentNow, type ProjectDoors } from './doors.ts';
import { accepted, difference } from './put.ts';

/** DELETE a project: with its name as confirmation, since its namespace and volumes go with it. */
export const deleteProject =
  (doors: ProjectDoors): Handlers['deleteProject'] =>
  async ({ caller, params: key, query, request }) => {
    const { tip } = await environmentNow(doors, key.environment);
    const [blob, manifests] = await Promise.all([
      doors.repository.blobId(tip, specFile(key)),
      doors.repository.read(tip, manifestsFile(key)),
    ]);
    if (blob === undefined && !(await isOnItsWay(doors, key))) throw new Fault('PROJECT_NOT_FOUND', { ...key });
    if (request.ifMatch !== undefined && request.ifMatch !== '*' && request.ifMatch !== blob)
      throw new Fault('PRECONDITION_FAILED', { expected: request.ifMatch, actual: blob ?? 'absent' });
    if (query.dryRun)
      return {
        status: 200,
        json: difference(Buffer.from(manifests ?? '').toString('utf8'), ''),
        audit: { before: blob, after: blob },
      };
    const wanted = projectName(key);
    if (query.confirm === undefined) throw new Fault('CONFIRMATION_NEEDED', { wanted });
    if (query.confirm !== wanted) throw new Fault('CONFIRMATION_WRONG', { given: query.confirm, wanted });
    const change = await doors.database.transaction((tx) =>
      acceptChange(tx, {
        id: newId('change', doors.clock.now()),
        kind: 'delete',
        ...key,
        actor: caller.name,
        expected: request.ifMatch === '*' ? blob : request.ifMatch,
        message: query.message ?? '',
      }),
    );
    return { ...accepted(change), audit: { before: blob } };
  };

/** A project may be deleted as soon as its first change was accepted: changes are written in their order. */
async function isOnItsWay({ database }: ProjectDoors, key: ProjectKey): Promise<boolean> {
  return (await readChanges(database, { ...key, state: 'accepted', limit: 1 })).length > 0;
}
