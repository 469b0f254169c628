import { Fault } from '#base/errors.ts';
import { environmentFile, root } from '#environments/layout.ts';
import { loadEnvironments } from '#environments/load.ts';
import type { Environment } from '#environments/schema.ts';
import type { Repository } from '#git/repository.ts';
import { isFolder } from '#git/trees.ts';

/** The environments as Git says at a revision. */
export interface Environments {
  /** All of them by name. @throws InvalidInput when an environment.yaml cannot be read */
  at(revision: string): Promise<ReadonlyMap<string, Environment>>;
  /** One of them. @throws Fault ENVIRONMENT_NOT_FOUND with the known names */
  one(revision: string, name: string): Promise<Environment>;
}

/** Reads environment.yaml files, once for each set of blobs: revisions that change none of them cost one look. */
export function createEnvironments(repository: Repository): Environments {
  let cached: { readonly blobs: string; readonly environments: ReadonlyMap<string, Environment> } | undefined;
  let seen: { readonly revision: string; readonly environments: ReadonlyMap<string, Environment> } | undefined;

  const at = async (revision: string) => {
    if (seen?.revision === revision) return seen.environments;
    const folders = (await repository.children(revision, root))
      .filter((entry) => isFolder(entry) && entry.name !== 'platform')
      .map(({ name }) => name);
    const paths = folders.map(environmentFile);
    const ids = await Promise.all(paths.map((path) => repository.blobId(revision, path)));
    const blobs = paths.map((path, i) => `${path} ${ids[i]}`).join('\n');
    if (cached?.blobs !== blobs) {
      const contents = await repository.readMany(revision, paths);
      const files = paths.flatMap((path, i) => (contents[i] === undefined ? [] : [{ path, content: contents[i] }]));
      cached = { blobs, environments: loadEnvironments(files) };
    }
    seen = { revision, environments: cached.environments };
    return cached.environments;
  };

  return {
    at,
    one: async (revision, name) => {
      const environments = await at(revision);
      const environment = environments.get(name);
      if (environment === undefined)
        throw new Fault('ENVIRONMENT_NOT_FOUND', { environment: name, known: [...environments.keys()] });
      return environment;
    },
  };
}
