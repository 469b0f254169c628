import type { Clock } from '#base/clock.ts';
import { installationFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';

/** The first commit of a new state repository: the distribution's environments and the installation's id. */
export async function seedRepository(
  repository: Repository,
  clock: Clock,
  installation: string,
  files: readonly { readonly path: string; readonly content: string }[],
): Promise<void> {
  const identity = `# The id of this installation of Plinth; its objects in clusters carry it. Never change it.\ninstallation: ${installation}\n`;
  await commit(repository, {
    expected: undefined,
    commits: [
      {
        edits: [...files, { path: installationFile, content: identity }],
        subject: 'Begin with the environments of the distribution',
        trailers: [],
        author: { name: 'Plinth', email: 'plinth@localhost' },
        at: clock.now(),
      },
    ],
  });
}
