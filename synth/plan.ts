import type { ProjectKey } from '#environments/layout.ts';
import type { Mode } from '#environments/operations.ts';
import type { Environment } from '#environments/schema.ts';
import type { CustomObject } from './object-schema.ts';

/** A place in the spec, for findings. */
export type SpecPath = readonly (string | number)[];

/** Takes a fault of the spec; the walk goes on, so that all of them come at once. */
export type Complain = (path: SpecPath, message: string) => void;

/** One variable of a container, in the order in which `$(NAME)` can look back. */
export type Variable = { readonly name: string } & ({ readonly value: string } | { readonly secret: string });

export interface Port {
  readonly name: string;
  readonly port: number;
}

export interface Mount {
  readonly path: string;
  readonly claim: string;
  readonly subPath?: string;
  readonly readOnly: boolean;
}

/** A file in a container: its text, or the secret that holds it. */
export type FilePlan = { readonly path: string } & ({ readonly text: string } | { readonly secret: string });

export interface Check {
  readonly kind: 'http' | 'tcp' | 'command';
  readonly path?: string;
  readonly port?: number;
  readonly command?: readonly string[];
  readonly startSeconds: number;
  readonly everySeconds: number;
  readonly timeoutSeconds: number;
  readonly restart: boolean;
}

export interface Resources {
  readonly cpu: string;
  readonly memory: string;
  readonly cpuLimit: string;
  readonly memoryLimit: string;
}

/** One container in its pod, with everything said: what a container, a service and a job of the spec become alike. */
export interface PodPlan {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly variables: readonly Variable[];
  readonly ports: readonly Port[];
  readonly mounts: readonly Mount[];
  readonly scratch: readonly string[];
  readonly sharedMemory: boolean;
  readonly files: readonly FilePlan[];
  readonly resources: Resources;
  /** undefined: the user of the image. */
  readonly user?: number;
  readonly group?: number;
  readonly readOnlyRoot: boolean;
  readonly check?: Check;
  readonly stopSeconds: number;
  /** Names of the spec: containers, services, jobs. */
  readonly dependsOn: readonly string[];
  /** Pods of one group share ReadWriteOnce volumes, so they must run on one node. */
  readonly nodeGroup?: string;
}

export interface RoutePlan {
  readonly host: string;
  readonly path: string;
  readonly port: number;
  readonly access: 'public' | 'team';
  readonly bodyBytes: number;
  readonly timeoutSeconds: number;
}

export interface WorkloadPlan extends PodPlan {
  readonly component: 'container' | 'service';
  /** Keeps its identity and never runs two copies on one volume. */
  readonly stateful: boolean;
  readonly replicas: number;
  readonly autoscale?: { readonly min: number; readonly max: number; readonly cpu?: number; readonly memory?: number };
  readonly route?: RoutePlan;
}

export interface JobPlan extends PodPlan {
  readonly schedule?: string;
  readonly timeZone?: string;
  readonly overlap: 'forbid' | 'allow' | 'replace';
  readonly retries: number;
  readonly timeoutSeconds: number;
}

export interface ClaimPlan {
  readonly claim: string;
  /** What the spec calls it: a volume, or the service it belongs to. */
  readonly name: string;
  readonly size: string;
  readonly class?: string;
  readonly accessMode: 'ReadWriteOnce' | 'ReadWriteMany';
}

/** A secret that the manifests refer to; its value is put in at apply. */
export interface SecretUse {
  /** Name in the secret store, and of the Secret object. */
  readonly name: string;
  /** Made by the store: letters and digits only, since it stands inside addresses. */
  readonly generated: boolean;
  /** Characters of a generated one. */
  readonly length?: number;
  readonly scope: 'project' | 'organization';
}

export interface EgressPlan {
  readonly cidr: string;
  readonly ports?: readonly number[];
}

/** A project, said whole: every default filled in, every name joined. What the parts make objects of. */
export interface Plan {
  readonly key: ProjectKey;
  readonly environment: Environment;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly podSecurity: 'restricted' | 'baseline';
  readonly workloads: readonly WorkloadPlan[];
  readonly jobs: readonly JobPlan[];
  readonly claims: readonly ClaimPlan[];
  readonly secrets: readonly SecretUse[];
  readonly internet: boolean;
  readonly egress: readonly EgressPlan[];
  /** `team/project` of this environment, sorted, each once. */
  readonly dependsOnProjects: readonly string[];
  readonly mode?: Mode;
  /** True: what exists already and is nobody's is taken over. */
  readonly adopt: boolean;
  readonly objects: readonly CustomObject[];
}
