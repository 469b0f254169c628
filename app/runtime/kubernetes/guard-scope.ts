import type { Allowance, KubernetesObject } from '../runtime.ts';
import { at, textOf } from './fields.ts';

/** True when the manifests themselves make this Secret. */
export const isOwnSecret = (name: string, { objects }: Allowance): boolean => hasObject('Secret', name, objects);

export const hasObject = (kind: string, name: string, objects: readonly KubernetesObject[]): boolean =>
  objects.some((object) => object.kind === kind && object.metadata.name === name);

/** What a claim, or the template of one, may not take its data from. */
export function claimFault(claim: unknown): string | undefined {
  if (textOf(at(claim, 'spec', 'volumeName')) !== '')
    return 'spec.volumeName would take a volume that another project may have filled';
  const sources = [at(claim, 'spec', 'dataSource'), at(claim, 'spec', 'dataSourceRef')];
  const foreign = sources.find((source) => at(source, 'namespace') !== undefined);
  return foreign === undefined ? undefined : 'its data source is in another namespace';
}
