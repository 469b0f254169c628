import { Fault } from '#base/errors.ts';
import { manifestsFile, specFile } from '#environments/layout.ts';
import { type Fence, objectText, type Propagation, type Removal } from '#runtime/runtime.ts';
import type { InventoryEntry } from './decide/inventory.ts';
import { type Doors, type Run, toFault } from './run.ts';

/** Deletes one object that Git does not want, or wants otherwise. Undefined: it was not deleted. */
export async function removeOne(
  run: Run,
  entry: InventoryEntry,
  propagation: Propagation,
): Promise<Removal | undefined> {
  const { doors, signal, faults } = run;
  const object = objectText(entry.key);
  try {
    const removal = await doors.runtime.remove(entry, { signal, fence: behindGit(run), propagation });
    doors.log.info({ object, removal }, 'object removed');
    return removal;
  } catch (error) {
    const fault = toFault(doors.log, error, object);
    if (fault.code === 'REVISION_MOVED')
      doors.log.info({ object }, 'Git says something else by now; nothing is removed');
    else faults.push(fault);
    return undefined;
  }
}

/**
 * The fence of a deletion: Git may want the object again since the run began, and a request waits for its turn, or is
 * sent again after a crowded server's pause. Each time Git is looked at once more. The next run, which is due then,
 * decides anew.
 * @throws Fault REVISION_MOVED
 */
export function behindGit(run: Pick<Run, 'fence' | 'state' | 'blobs' | 'revision'> & { doors: RemovalDoors }): Fence {
  const { fence, state, blobs, doors } = run;
  const { repository } = doors;
  let same = run.revision;
  const moved = () => new Fault('REVISION_MOVED', { branch: repository.branch, expected: run.revision });
  const assert = () => {
    fence.assert();
    if (state.blobs !== blobs) throw moved();
  };
  const look = async () => {
    assert();
    const tip = await repository.tip();
    if (tip === same) return;
    if (tip === undefined) throw moved();
    const [spec, manifests] = await Promise.all([
      repository.blobId(tip, specFile(state.key)),
      repository.blobId(tip, manifestsFile(state.key)),
    ]);
    if (spec !== blobs?.spec || manifests !== blobs?.manifests) throw moved();
    same = tip;
  };
  return { epoch: fence.epoch, assert, look };
}

type RemovalDoors = { readonly repository: Pick<Doors['repository'], 'branch' | 'tip' | 'blobId'> };
