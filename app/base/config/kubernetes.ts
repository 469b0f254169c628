import { duration, quantity } from './amounts.ts';
import { anyText, image, kubernetesName, path, truth, wholeNumber } from './parse.ts';
import type { Values } from './setting.ts';
import { setting } from './setting.ts';

const fromGit = "what environment.yaml of local says; without that, the cluster's default";

/** The cluster of the environment `local`, and what its environment.yaml is given at the start. */
export const kubernetesRows = {
  kubeconfig: setting({
    names: ['KUBECONFIG', 'ORCHESTRATOR_KUBECONFIG', 'ARCHESTRA_ORCHESTRATOR_KUBECONFIG'],
    about: 'Kubeconfig of the environment local. A cluster that is not plainly local also needs CLUSTER_CONSENT.',
    unset: 'cluster/kubeconfig in DATA_DIR, else ~/.kube/config, else the in-cluster account',
    read: path,
  }),
  loadInClusterKubeconfig: setting({
    names: [
      'ORCHESTRATOR_LOAD_KUBECONFIG_FROM_CURRENT_CLUSTER',
      'ARCHESTRA_ORCHESTRATOR_LOAD_KUBECONFIG_FROM_CURRENT_CLUSTER',
    ],
    about: 'Whether Plinth, running in a cluster, may use the account it has there for the environment local.',
    standard: 'true',
    read: truth,
  }),
  clusterConsent: setting({
    names: ['CLUSTER_CONSENT'],
    about:
      'The name of the kubeconfig context that Plinth may use although it is not plainly local (minikube, kind, its own).',
    unset: 'none',
    read: anyText,
  }),
  devserverImage: setting({
    names: ['K8S_DEVSERVER_IMAGE'],
    about: 'Image of containers whose spec names none, in local.',
    unset: 'what environment.yaml of local says (node:24-alpine)',
    read: image,
  }),
  imagePullSecret: setting({
    names: ['K8S_IMAGE_PULL_SECRET'],
    about: 'Secret with registry credentials that projects of local pull their images with.',
    unset: 'none',
    read: kubernetesName,
  }),
  storageClass: setting({
    names: ['K8S_STORAGE_CLASS'],
    about: 'StorageClass of volumes in local.',
    unset: fromGit,
    read: kubernetesName,
  }),
  volumeSize: setting({
    names: ['K8S_PVC_SIZE'],
    about: 'Size of a volume in local whose spec names none, such as 10Gi.',
    unset: 'what environment.yaml of local says (5Gi)',
    read: quantity,
  }),
  ingressClass: setting({
    names: ['K8S_INGRESS_CLASS'],
    about: 'IngressClass of routes in local.',
    unset: fromGit,
    read: kubernetesName,
  }),
  wildcardTlsSecret: setting({
    names: ['K8S_WILDCARD_TLS_SECRET'],
    about:
      "TLS secret with the wildcard certificate, which something else puts into each project's namespace of local.",
    unset: "the ingress controller's default certificate",
    read: kubernetesName,
  }),
  podAffinity: setting({
    names: ['K8S_ENABLE_POD_AFFINITY'],
    about: 'Whether containers of a project in local that share a ReadWriteOnce volume are put on one node.',
    unset: 'what environment.yaml of local says (true)',
    read: truth,
  }),
  networkPolicies: setting({
    names: ['K8S_ENABLE_NETWORK_POLICIES'],
    about: 'Whether projects in local are kept apart by NetworkPolicies.',
    unset: 'what environment.yaml of local says (true)',
    read: truth,
  }),
};

const snapshots = 'hibernation and snapshots';

/** Snapshots of volumes, and when a project that nobody uses goes to sleep. */
export const snapshotRows = {
  snapshotClass: setting({
    names: ['K8S_SNAPSHOT_CLASS'],
    about: 'VolumeSnapshotClass of snapshots in local.',
    unset: fromGit,
    activeIn: snapshots,
    read: kubernetesName,
  }),
  snapshotRetentionMs: setting({
    names: ['K8S_SNAPSHOT_RETENTION_DAYS'],
    about: 'How long a deleted snapshot can be brought back: days, or with a unit.',
    standard: '30',
    activeIn: snapshots,
    read: duration('d'),
  }),
  mostSnapshots: setting({
    names: ['K8S_MAX_SNAPSHOTS_PER_PROJECT'],
    about: 'The most sets of snapshots that are kept for a project.',
    standard: '5',
    activeIn: snapshots,
    read: wholeNumber(1, 1000),
  }),
  snapshotReadyTimeoutMs: setting({
    names: ['K8S_SNAPSHOT_READY_TIMEOUT_SECONDS'],
    about: 'How long a snapshot may take until it is ready: seconds, or with a unit.',
    standard: '90',
    activeIn: snapshots,
    read: duration('s'),
  }),
  hibernationIdleMs: setting({
    names: ['K8S_HIBERNATION_IDLE_MINUTES'],
    about:
      'Switches hibernation on for local: after so long without use. Minutes, or with a unit. The reference has 10.',
    unset: 'only projects that ask for it are hibernated',
    activeIn: snapshots,
    read: duration('m'),
  }),
};

/** What settings make of environment.yaml of `local`; undefined: they do not say. */
export interface ManifestSettings {
  readonly runtime: 'kubernetes' | 'none' | undefined;
  /** Where projects are served. */
  readonly domain: string | undefined;
  readonly storageClass: string | undefined;
  /** As Kubernetes writes it: `10Gi`. */
  readonly volumeSize: string | undefined;
  readonly snapshotClass: string | undefined;
  readonly ingressClass: string | undefined;
  readonly tlsSecret: string | undefined;
  readonly pullSecret: string | undefined;
  readonly image: string | undefined;
  readonly affinity: boolean | undefined;
  readonly policies: boolean | undefined;
}

/** Only what was given: what people write into environment.yaml stays where no setting speaks of it. */
export function manifestSettings(
  values: Values<typeof kubernetesRows> &
    Values<typeof snapshotRows> & { readonly deploymentMode: 'docker' | 'kubernetes' | undefined },
  domain: string | undefined,
): ManifestSettings {
  const { deploymentMode, storageClass, volumeSize, snapshotClass, ingressClass } = values;
  return {
    // Until the Docker runtime exists.
    runtime: deploymentMode === 'docker' ? 'none' : deploymentMode,
    domain,
    storageClass,
    volumeSize,
    snapshotClass,
    ingressClass,
    tlsSecret: values.wildcardTlsSecret,
    pullSecret: values.imagePullSecret,
    image: values.devserverImage,
    affinity: values.podAffinity,
    policies: values.networkPolicies,
  };
}
