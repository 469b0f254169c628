import type { Allowance, KubernetesObject } from '../runtime.ts';

/** True when the manifests themselves make this Secret. */
export const isOwnSecret = (name: string, { objects }: Allowance): boolean => hasObject('Secret', name, objects);

export const hasObject = (kind: string, name: string, objects: readonly KubernetesObject[]): boolean =>
  objects.some((object) => object.kind === kind && object.metadata.name === name);
