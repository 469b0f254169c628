import type { ProjectKey } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import type { Manifest } from '../manifests.ts';

/** What a guard sees of the whole, and where it puts what it finds. */
export interface Watch {
  readonly environment: Environment;
  readonly key: ProjectKey;
  readonly level: 'restricted' | 'baseline';
  /** Names of the objects of a kind. */
  readonly known: (kind: string) => ReadonlySet<string>;
  /** Claims that only one node at a time can hold. */
  readonly singleClaims: ReadonlySet<string>;
  readonly refuse: (object: Manifest, message: string) => void;
}
