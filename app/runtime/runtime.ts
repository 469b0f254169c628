/**
 * The shape of what an environment runs on. Reconcile knows only this; `kubernetes/` is the first that keeps it.
 * A runtime decides nothing: it applies, removes and observes what it is told, and remembers per object only uid,
 * version, digest and health.
 */

/** A Kubernetes object as parsed from manifests. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export interface ObjectKey {
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
}

export type HealthState = 'healthy' | 'progressing' | 'suspended' | 'missing' | 'degraded' | 'unknown';

export interface Health {
  readonly state: HealthState;
  /** Why, in a sentence a person can act on; when healthy, empty or a remark (an Ingress without address). */
  readonly reason: string;
}

/** All that is kept of one live object. */
export interface LiveObject {
  readonly key: ObjectKey;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Digest of the fields that our field manager owns, with their values; empty when it owns none. */
  readonly ownedDigest: string;
  readonly health: Health;
  readonly deleting: boolean;
  /** Label plinth.dev/installation; undefined when the object carries none. */
  readonly installation: string | undefined;
}

/** Fields of ours that another manager owns. */
export interface Conflict {
  readonly manager: string;
  readonly fields: readonly string[];
}

export interface AppliedObject extends LiveObject {
  /** Fields that another manager owned and that were taken over, by manager. */
  readonly takenOver: readonly Conflict[];
}

export type Removal =
  /** The API server accepted the deletion, or the object was already gone. */
  | 'deleted'
  | 'gone'
  /** The live object has another uid or belongs to another installation: it is not ours to delete. */
  | 'foreign';

export interface RuntimeState {
  readonly connected: boolean;
  /** True once every watched kind has been listed completely since the last connection. */
  readonly complete: boolean;
  /** What is wrong, in a sentence; empty when connected. */
  readonly reason: string;
}

export interface RuntimeEvents {
  /** Something about the objects of this namespace changed: live state, health, or existence. A hint, never the truth. */
  changed(namespace: string): void;
  /** The connection was lost or found again, or a complete listing was reached. */
  state(state: RuntimeState): void;
}

export interface ApplyOptions {
  /** Only asks what would happen; nothing is stored, neither in the cluster nor in memory. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  /** The uid that the inventory holds: proof that an object is ours although somebody took its label away. */
  readonly uid?: string;
  /** `urgent` (a heal, or a person waits) never queues behind `bulk`, which is the default. */
  readonly lane?: 'urgent' | 'bulk';
  /** Is told of conflicts before their fields are taken over. */
  readonly onConflicts?: (conflicts: readonly Conflict[]) => void;
}

/** What is allowed to the objects of one project, for `Runtime.refusedBecause`. */
export interface Allowance {
  /** The project's own namespace, the only one that anything goes into. */
  readonly namespace: string;
  /** The weakest Pod Security level that the environment allows. */
  readonly podSecurity: 'restricted' | 'baseline';
  /** Everything that the project's manifests hold: a pod may use only Secrets and accounts that are among them. */
  readonly objects: readonly KubernetesObject[];
}

export interface Runtime {
  readonly kind: 'kubernetes' | 'none';
  /** Begins to watch. Resolves at once; `state()` says how it stands. */
  start(events: RuntimeEvents): void;
  stop(): Promise<void>;
  state(): RuntimeState;
  /** Every known object of the namespace with our installation label, the Namespace itself included, from memory. */
  observed(namespace: string): readonly LiveObject[];
  /** The apply door: why an object may not come in, in words that follow "Plinth does not apply X:", or undefined. */
  refusedBecause(object: KubernetesObject, allowance: Allowance): string | undefined;
  /**
   * Server-side apply of one object with our field manager. Conflicts are named in `takenOver` before they are forced.
   * @throws Fault OBJECT_REFUSED | OBJECT_FOREIGN | OBJECT_CONFLICT | NAMESPACE_TERMINATING | RUNTIME_UNAVAILABLE
   */
  apply(object: KubernetesObject, options?: ApplyOptions): Promise<AppliedObject>;
  /** Deletes by uid, with the last seen resource version as precondition where one is given. */
  remove(object: { readonly key: ObjectKey; readonly uid: string }, signal?: AbortSignal): Promise<Removal>;
  /** The live object as the API server gives it, or undefined. The caller masks secrets. */
  read(key: ObjectKey, signal?: AbortSignal): Promise<KubernetesObject | undefined>;
  /** The log of a container of a workload (newest pod), as it comes. Lines end with a newline. */
  logs(options: {
    readonly namespace: string;
    readonly workload: string;
    readonly container: string;
    readonly follow: boolean;
    readonly tailLines: number;
    readonly signal: AbortSignal;
  }): Promise<AsyncIterable<Uint8Array>>;
}

/** Labels and annotations that join objects to what they came from. */
export const labels = {
  installation: 'plinth.dev/installation',
  environment: 'plinth.dev/environment',
  team: 'plinth.dev/team',
  project: 'plinth.dev/project',
} as const;

export const annotations = {
  /** On a Secret: `<scope>/<name>`; the value is filled in at apply. */
  secret: 'plinth.dev/secret',
  /** On a pod template: digest of the versions of the secrets it uses. */
  secretVersions: 'plinth.dev/secret-versions',
  /** On a workload: comma-separated names of the workloads and Jobs that must be healthy first. */
  dependsOn: 'plinth.dev/depends-on',
} as const;

/** `apps/v1 Deployment shop--web/web` as one string, for maps and messages. */
export const objectText = ({ apiVersion, kind, namespace, name }: ObjectKey) =>
  `${apiVersion} ${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;

export const keyOf = (object: KubernetesObject): ObjectKey => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  namespace: object.metadata.namespace ?? '',
  name: object.metadata.name,
});
