import { Fault } from '#base/errors.ts';
import { InvalidInput } from '#environments/finding.ts';
import { manifestsFile, type ProjectKey, specFile } from '#environments/layout.ts';
import type { Repository } from '#git/repository.ts';
import type { Environments } from './environments.ts';
import { renderSpec } from './prepare.ts';

/**
 * Whether the manifests at a revision are, byte for byte, what synth makes of the spec and environment.yaml there; of no
 * spec: none. False where they cannot be rendered.
 */
export async function isRendering(
  { repository, environments }: { readonly repository: Repository; readonly environments: Environments },
  key: ProjectKey,
  revision: string,
): Promise<boolean> {
  const [spec, manifests] = await repository.readMany(revision, [specFile(key), manifestsFile(key)]);
  if (spec === undefined || manifests === undefined) return spec === manifests;
  try {
    const environment = await environments.one(revision, key.environment);
    return renderSpec(key, spec, environment).manifests === Buffer.from(manifests).toString('utf8');
  } catch (error) {
    if (error instanceof InvalidInput || Fault.is(error, 'ENVIRONMENT_NOT_FOUND')) return false;
    throw error;
  }
}
