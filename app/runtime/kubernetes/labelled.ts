import { type KubernetesObject, labels } from '../runtime.ts';
import { fieldsOf } from './fields.ts';

/** Where the pod template of a workload is. */
const templatePaths: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

/**
 * The object with the label of this installation, on itself and on its pod template: the mark by which watches find it
 * and by which it is never mistaken for somebody else's. The given object stays as it is.
 */
export function labelled(object: KubernetesObject, installation: string): KubernetesObject {
  const marked = { ...object, metadata: withLabel(object.metadata, installation) };
  const path = templatePaths[object.kind];
  // `change` keeps every other field, so a KubernetesObject stays one.
  return path === undefined ? marked : (change(marked, path, installation) as unknown as KubernetesObject);
}

function change(value: unknown, path: readonly string[], installation: string): Record<string, unknown> {
  const here = { ...fieldsOf(value) };
  const [next, ...rest] = path;
  if (next === undefined) return { ...here, metadata: withLabel(fieldsOf(here.metadata), installation) };
  here[next] = change(here[next], rest, installation);
  return here;
}

function withLabel<T extends object>(metadata: T, installation: string): T {
  const before = 'labels' in metadata ? fieldsOf(metadata.labels) : {};
  return { ...metadata, labels: { ...before, [labels.installation]: installation } };
}
