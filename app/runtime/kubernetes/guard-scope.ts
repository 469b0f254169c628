import type { KubernetesObject } from '../runtime.ts';

/** What a project may have applied, said by reconcile from the environment and the whole set of the project's objects. */
export interface Scope {
  /** The project's own namespace, the only one that anything goes into. */
  readonly namespace: string;
  /** The weakest Pod Security level that the environment allows. */
  readonly podSecurity: 'restricted' | 'baseline';
  /** Everything that the project's manifests hold: a pod may use only Secrets and accounts that are among them. */
  readonly objects: readonly KubernetesObject[];
}

/** True when the manifests themselves make this Secret. */
export const isOwnSecret = (name: string, { objects }: Scope): boolean => hasObject('Secret', name, objects);

export const hasObject = (kind: string, name: string, objects: readonly KubernetesObject[]): boolean =>
  objects.some((object) => object.kind === kind && object.metadata.name === name);
