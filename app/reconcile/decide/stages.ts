import type { KubernetesObject, ObjectKey } from '#runtime/runtime.ts';

/**
 * The order in which the objects of a project are applied; each stage ends before the next begins. Removal needs no
 * order of its own: the namespace holds everything, and single objects that leave do not need each other.
 */
const stages: readonly (readonly string[])[] = [
  ['Namespace'],
  [
    'ResourceQuota',
    'LimitRange',
    'ServiceAccount',
    'NetworkPolicy',
    'Secret',
    'ConfigMap',
    'PersistentVolumeClaim',
    'Service',
  ],
  ['Deployment', 'StatefulSet', 'Job', 'CronJob'],
  ['Ingress', 'HTTPRoute', 'HorizontalPodAutoscaler', 'PodDisruptionBudget'],
];

const stageOfKind = new Map(stages.flatMap((kinds, stage) => kinds.map((kind) => [kind, stage] as const)));

export const stageCount = stages.length;

/** The stage of an object, from 0. Unknown kinds never come this far: the apply door refuses them. */
export const stageOf = (object: Pick<KubernetesObject | ObjectKey, 'kind'>): number =>
  stageOfKind.get(object.kind) ?? stages.length - 1;

/** Kinds without which nothing else of the project may run: its space, its bounds and its walls. */
export const isFoundation = (kind: string): boolean =>
  ['Namespace', 'ResourceQuota', 'LimitRange', 'ServiceAccount', 'NetworkPolicy', 'Secret'].includes(kind);

/** Kinds that run pods and whose health others can wait for. */
export const isWorkload = (kind: string): boolean => kind === 'Deployment' || kind === 'StatefulSet' || kind === 'Job';

/** Kinds whose deletion loses data or everything at once: it always waits for a person. */
export const isPrecious = (kind: string): boolean => kind === 'Namespace' || kind === 'PersistentVolumeClaim';
