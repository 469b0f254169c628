import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Plan, PodPlan } from '../plan.ts';

/** What every part is given: where its objects go, and the whole plan. */
export interface Scope {
  readonly chart: Chart;
  readonly plan: Plan;
}

type Map = Readonly<Record<string, string>>;

/** Labels of every object; `name` is the container, service or job it belongs to, else the project. */
export function labelsOf({ key, labels, namespace }: Plan, name: string): Record<string, string> {
  return {
    ...labels,
    'app.kubernetes.io/instance': namespace,
    'app.kubernetes.io/managed-by': 'plinth',
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/part-of': key.project,
    'plinth.dev/environment': key.environment,
    'plinth.dev/project': key.project,
    'plinth.dev/team': key.team,
  };
}

/** The few labels that pods are found by. They never change, since a Deployment's selector cannot. */
export const selectorOf = ({ key }: Plan, name: string): Record<string, string> => ({
  'app.kubernetes.io/name': name,
  'plinth.dev/project': key.project,
});

/** Metadata of an object called `name` that belongs to `owner` (a container, service, job, or the project). */
export function metadataOf(plan: Plan, name: string, owner: string, annotations: Map = {}): k8s.ObjectMeta {
  return {
    name,
    namespace: plan.namespace,
    labels: labelsOf(plan, owner),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

/** `plinth.dev/depends-on` of a workload that waits for others; jobs stand in it by their names in the spec for now. */
export const waitsFor = ({ dependsOn }: PodPlan): Map =>
  dependsOn.length === 0 ? {} : { [dependsOnAnnotation]: dependsOn.join(',') };

export const dependsOnAnnotation = 'plinth.dev/depends-on';

export const serviceAccountName = 'workload';

export const quantity = (text: string): k8s.Quantity => k8s.Quantity.fromString(text);
