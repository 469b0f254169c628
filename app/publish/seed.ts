import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { environmentFile, installationFile, root } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import { isFolder } from '#git/trees.ts';

const mostTries = 8;

/**
 * The first commit of a state repository: the distribution's environments and the installation's id. A remote that
 * holds something already, such as a fork of Plinth, gets the id, and the environments only where it has none. One that
 * has an id stays as it is.
 */
export async function seedRepository(
  repository: Repository,
  clock: Clock,
  installation: string,
  files: readonly { readonly path: string; readonly content: string }[],
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await trySeed(repository, clock, installation, files);
    } catch (error) {
      if (!Fault.is(error, 'REVISION_MOVED') || tries === mostTries) throw error;
    }
  }
}

async function trySeed(
  repository: Repository,
  clock: Clock,
  installation: string,
  files: readonly { readonly path: string; readonly content: string }[],
): Promise<void> {
  const tip = await repository.tip();
  if (tip !== undefined && (await repository.blobId(tip, installationFile)) !== undefined) return;
  const all = tip === undefined ? undefined : await repository.entry(tip, root);
  // Something else in place of environments/ hides what stood there: nothing is put over it.
  if (all !== undefined && !isFolder(all)) return;
  const identity = `# The id of this installation of Plinth; its objects in clusters carry it. Never change it.\ninstallation: ${installation}\n`;
  const environments = (await hasEnvironments(repository, tip)) ? [] : files;
  await commit(repository, {
    expected: tip,
    commits: [
      {
        edits: [...environments, { path: installationFile, content: identity }],
        subject:
          environments.length > 0 ? 'Begin with the environments of the distribution' : 'Begin with these environments',
        trailers: [],
        author: { name: 'Plinth', email: 'plinth@localhost' },
        at: clock.now(),
      },
    ],
  });
}

async function hasEnvironments(repository: Repository, tip: string | undefined): Promise<boolean> {
  if (tip === undefined) return false;
  const folders = (await repository.children(tip, root)).filter(isFolder);
  const found = await Promise.all(folders.map(({ name }) => repository.blobId(tip, environmentFile(name))));
  return found.some((blob) => blob !== undefined);
}
