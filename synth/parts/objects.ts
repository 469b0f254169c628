import { ApiObject } from 'cdk8s';
import type { CustomObject } from '../object-schema.ts';
import type { Complain } from '../plan.ts';
import { metadataOf, type Scope } from './scope.ts';

/** Adds the objects that the spec gives whole, each with the labels of the project. */
export function addObjects({ chart, plan }: Scope): void {
  for (const [index, { apiVersion, kind, metadata, ...rest }] of plan.objects.entries()) {
    const { labels, ...own } = metadataOf(plan, metadata.name, plan.key.project, metadata.annotations);
    new ApiObject(chart, `object-${index}`, {
      apiVersion,
      kind,
      metadata: { ...own, name: metadata.name, labels: { ...metadata.labels, ...labels } },
      ...rest,
    });
  }
}

/** What is wrong with objects in this environment: kinds that it does not list, what only others may set. */
export function objectFaults(
  objects: readonly CustomObject[],
  kinds: readonly { readonly apiVersion: string; readonly kind: string }[],
  complain: Complain,
): void {
  for (const [index, object] of objects.entries()) {
    const path = ['objects', index];
    const listed = kinds.some(({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind);
    if (!listed) complain([...path, 'kind'], unlisted(object, kinds));
    if ('status' in object) complain([...path, 'status'], 'status is written by the operator of the kind');
    for (const key of Object.keys(object.metadata.labels))
      if (isReserved(key))
        complain([...path, 'metadata', 'labels', key], `labels of ${key.split('/')[0]} are reserved`);
    for (const key of Object.keys(object.metadata.annotations))
      if (isReserved(key) && !policies.includes(key))
        complain([...path, 'metadata', 'annotations', key], `annotations of ${key.split('/')[0]} are reserved`);
  }
}

/** What people may say to reconcile about one object. */
const policies = ['plinth.dev/policy', 'plinth.dev/ignore'];

const isReserved = (key: string) => /^([a-z0-9.-]+\.)?plinth\.dev\//.test(key);

function unlisted(
  { apiVersion, kind }: CustomObject,
  kinds: readonly { readonly apiVersion: string; readonly kind: string }[],
): string {
  const known = kinds.map((one) => `${one.apiVersion} ${one.kind}`);
  const there = known.length === 0 ? 'it lists none' : `it lists ${known.join(', ')}`;
  return `${apiVersion} ${kind} is not among kinds in environment.yaml: ${there}`;
}
