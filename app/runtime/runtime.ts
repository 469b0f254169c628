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
  /** The epoch of the lease under which it was created; undefined where none was noted. */
  readonly epoch?: number | undefined;
  /** True where its policy says that it is never deleted. */
  readonly keep?: boolean | undefined;
}

/** Fields of ours that another manager owns. */
export interface Conflict {
  readonly manager: string;
  readonly fields: readonly string[];
}

export interface AppliedObject extends LiveObject {
  /** Fields that another manager owned and that were taken over, by manager. */
  readonly takenOver: readonly Conflict[];
  /** Set where the object existed and was nobody's, or another installation's, before. */
  readonly adopted?: Adopted | undefined;
}

/** Whose an object was before it became ours. */
export interface Adopted {
  /** The installation whose label it carried; undefined: none. */
  readonly installation: string | undefined;
  /** Who had written fields of it. */
  readonly managers: readonly string[];
}

/** What becomes of what a deleted object owns: deleted after it, deleted before it, or left alone. */
export type Propagation = 'background' | 'foreground' | 'orphan';

export interface RemoveOptions {
  readonly signal?: AbortSignal;
  /** Absent: there is one replica only. */
  readonly fence?: Fence | undefined;
  readonly propagation?: Propagation;
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
  /** Absent: there is one replica only. */
  readonly fence?: Fence | undefined;
  /** `urgent` (a heal, or a person waits) never queues behind `bulk`, which is the default. */
  readonly lane?: 'urgent' | 'bulk';
  /** An object that exists without being ours may be taken over; undefined: never. */
  readonly adopt?: Adoptable | undefined;
  /** Takes fields of others over without asking for their names first: in a fight, where the names are known. */
  readonly force?: boolean;
  /** The most requests that it may take; the usual bound where absent. */
  readonly rounds?: number;
  /** Is told of conflicts before their fields are taken over. */
  readonly onConflicts?: (conflicts: readonly Conflict[]) => void;
}

/** Which objects of others may be taken over. */
export interface Adoptable {
  /** Objects of these installations, beside those that carry no installation's label. */
  readonly installations: readonly string[];
}

/** What is allowed to the objects of one project, for `Runtime.refusedBecause`. */
export interface Allowance {
  /** The project's own namespace, the only one that anything goes into. */
  readonly namespace: string;
  /** The weakest Pod Security level that the environment allows. */
  readonly podSecurity: 'restricted' | 'baseline';
  /** Everything that the project's manifests hold: a pod may use only Secrets and accounts that are among them. */
  readonly objects: readonly KubernetesObject[];
  /** Kinds of other operators that the environment lists; none by default. */
  readonly kinds?: readonly Pick<ObjectKey, 'apiVersion' | 'kind'>[];
}

/** The right to write at this moment, checked right before each request that changes anything. */
export interface Fence {
  /** Grows each time another replica takes over; what is created carries it. */
  readonly epoch: number;
  /** @throws Fault LEASE_LOST once another replica may have taken over; others where the request is void by now */
  assert(): void;
  /**
   * Asked before each try of a request, where it takes a look elsewhere to know. Absent: `assert` says all.
   * @throws as `assert`
   */
  look?(): Promise<void>;
}

/** Something worth reading beside the objects themselves (`kubectl describe`, `kubectl get events`). */
export interface Telling {
  /** The project's namespace, which the event is about and stands in. */
  readonly namespace: string;
  readonly type: 'Normal' | 'Warning';
  /** One word in UpperCamelCase, such as `Applied`. */
  readonly reason: string;
  /** A sentence, at most 1024 characters, already redacted. */
  readonly message: string;
}

export interface Runtime {
  readonly kind: 'kubernetes' | 'none';
  /** Begins to watch. Resolves at once; `state()` says how it stands. */
  start(events: RuntimeEvents): void;
  stop(): Promise<void>;
  state(): RuntimeState;
  /** Every known object of the namespace with our installation label, the Namespace itself included, from memory. */
  observed(namespace: string): readonly LiveObject[];
  /**
   * Why objects of a kind are not among the observed ones whether they are there or not, in words that follow "it cannot
   * be seen:", or undefined.
   */
  unseenBecause(key: Pick<ObjectKey, 'apiVersion' | 'kind'>): string | undefined;
  /** The apply door: why an object may not come in, in words that follow "Plinth does not apply X:", or undefined. */
  refusedBecause(object: KubernetesObject, allowance: Allowance): string | undefined;
  /**
   * Server-side apply of one object with our field manager. Conflicts are named in `takenOver` before they are forced.
   * @throws Fault OBJECT_REFUSED | OBJECT_DENIED | QUOTA_EXCEEDED | KIND_MISSING | OBJECT_FOREIGN | OBJECT_CONFLICT |
   *   NAMESPACE_TERMINATING | RUNTIME_UNAVAILABLE | LEASE_LOST
   */
  apply(object: KubernetesObject, options?: ApplyOptions): Promise<AppliedObject>;
  /**
   * Deletes the very object: by its uid, and as it was last seen.
   * @throws Fault OBJECT_REFUSED | OBJECT_DENIED | OBJECT_CONFLICT | RUNTIME_UNAVAILABLE | LEASE_LOST
   */
  remove(object: { readonly key: ObjectKey; readonly uid: string }, options?: RemoveOptions): Promise<Removal>;
  /** Who owns the fields that `object` names and that are other in the cluster; asks only, and changes nothing. */
  foreignFields(object: KubernetesObject, signal?: AbortSignal): Promise<readonly Conflict[]>;
  /**
   * Writes an event about the project's namespace. It never fails: who cannot be told is not, and what is told again
   * and again is counted.
   */
  tell(telling: Telling): Promise<void>;
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
  /** On the Namespace: comma-separated `team/project` of the same environment that must be applied and healthy first. */
  dependsOnProjects: 'plinth.dev/depends-on-projects',
  /** On the Namespace: heal, warn or detect, where the project is stricter than its environment. */
  mode: 'plinth.dev/mode',
  /** On any object: comma-separated policies, see environments/policies.ts. On the Namespace `adopt` is for all in it. */
  policy: 'plinth.dev/policy',
  /** On any object: comma-separated JSON Pointers of fields that are left to others. */
  ignore: 'plinth.dev/ignore',
  /** On what was created: the epoch of the lease that made it. */
  epoch: 'plinth.dev/epoch',
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
