import type { Policies } from '#environments/policies.ts';
import type { ObjectKey } from '#runtime/runtime.ts';

/** One object that should exist, as far as the decision needs it. */
export interface DesiredObject {
  readonly key: ObjectKey;
  /** Digest of the object as it is sent, versions of its secrets included, values excluded. */
  readonly digest: string;
  /** Names of the workloads of this namespace that must be healthy first. */
  readonly dependsOn: readonly string[];
  /** Undefined: none of them. */
  readonly policies?: Policies | undefined;
  /** Names of the claims that its pods mount; undefined: none. */
  readonly claims?: readonly string[] | undefined;
}

/** One object that we made: what was sent, and the digest of our fields right after. */
export interface InventoryEntry {
  readonly key: ObjectKey;
  readonly uid: string;
  readonly desiredDigest: string;
  readonly ownedDigest: string;
  /** True where its policy says that we never delete it. */
  readonly keep?: boolean | undefined;
}
