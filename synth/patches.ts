import { isDeepStrictEqual } from 'node:util';
import { JsonPatch } from 'cdk8s';
import { didYouMean } from '#environments/check.ts';
import { ignoreFault, policyFault } from '#environments/policies.ts';
import { dig } from './dig.ts';
import type { Manifest } from './manifests.ts';
import type { Complain } from './plan.ts';
import type { Project } from './schema.ts';

type Patch = Project['patches'][number];

/** These are the guards themselves, and references to secrets: no patch may touch them. */
const closed = ['LimitRange', 'Namespace', 'NetworkPolicy', 'ResourceQuota', 'Secret', 'ServiceAccount'];

/** Applies the spec's patches, last and in their order; what a patch may not change is complained of. */
export function applyPatches(objects: readonly Manifest[], patches: readonly Patch[], complain: Complain): Manifest[] {
  const patched = [...objects];
  for (const [index, { target, patch }] of patches.entries()) {
    const path = ['patches', index];
    const at = patched.findIndex(({ kind, metadata }) => kind === target.kind && metadata.name === target.name);
    const object = patched[at];
    if (closed.includes(target.kind)) {
      complain([...path, 'target', 'kind'], `a ${target.kind} guards the project and cannot be patched`);
    } else if (object === undefined) {
      complain([...path, 'target'], unknownTarget(target, patched));
    } else {
      const next = applyOne(object, patch, (at, message) => complain([...path, ...at], message));
      if (next !== undefined) patched[at] = next;
    }
  }
  return patched;
}

function unknownTarget({ kind, name }: Patch['target'], objects: readonly Manifest[]): string {
  const kinds = [...new Set(objects.map((object) => object.kind))];
  if (!kinds.includes(kind)) return `this project has no ${kind}${didYouMean(kind, kinds)}`;
  const known = objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name);
  return `there is no ${kind} ${name}${didYouMean(name, known) || `; there are ${known.join(', ')}`}`;
}

/** As the API server takes, and more than any object of sense has. */
const mostCharacters = 500_000;

function applyOne(object: Manifest, patch: Patch['patch'], complain: Complain): Manifest | undefined {
  let next: unknown = structuredClone(object);
  for (const [index, operation] of patch.entries()) {
    const path = ['patch', index];
    if (/(^|\/)(__proto__|constructor|prototype)(\/|$)/.test(operation.path)) {
      complain([...path, 'path'], `${operation.path} is no path of an object`);
      return undefined;
    }
    try {
      next = JsonPatch.apply(next, operationOf(operation));
      // A copy can double the object, each time.
      if (JSON.stringify(next).length > mostCharacters)
        throw new Error(`the object has more than ${mostCharacters} characters`);
    } catch (error) {
      // The library's message goes on for lines with the whole document.
      const [reason = ''] = String((error as Error).message).split('\n');
      complain(
        path,
        `${operation.op} ${operation.path} cannot be applied to ${object.kind} ${object.metadata.name}: ${reason}`,
      );
      return undefined;
    }
  }
  const fault = policyFaultOf(next);
  if (fault !== undefined) {
    complain([], fault);
    return undefined;
  }
  const changed = bindingChange(object, next);
  if (changed !== undefined) {
    complain(
      [],
      `it changes ${changed} of ${object.kind} ${object.metadata.name}, which binds the object to its project`,
    );
    return undefined;
  }
  // bindingChange saw kind, name and namespace, unchanged.
  return next as Manifest;
}

function operationOf(operation: Patch['patch'][number]): JsonPatch {
  switch (operation.op) {
    case 'add':
      return JsonPatch.add(operation.path, operation.value);
    case 'replace':
      return JsonPatch.replace(operation.path, operation.value);
    case 'test':
      return JsonPatch.test(operation.path, operation.value);
    case 'remove':
      return JsonPatch.remove(operation.path);
    case 'move':
      return JsonPatch.move(operation.from, operation.path);
    case 'copy':
      return JsonPatch.copy(operation.from, operation.path);
  }
}

/** Fields that say whose an object is and which pods are its own; a change in any would cut it loose. */
const bindings = [
  'apiVersion',
  'kind',
  'metadata.name',
  'metadata.namespace',
  'metadata.ownerReferences',
  'metadata.finalizers',
  'spec.selector',
  'spec.scaleTargetRef',
];

function bindingChange(before: unknown, after: unknown): string | undefined {
  for (const path of bindings) if (!isDeepStrictEqual(dig(before, path), dig(after, path))) return path;
  for (const path of [
    'metadata.labels',
    'metadata.annotations',
    'spec.template.metadata.labels',
    'spec.template.metadata.annotations',
    'spec.jobTemplate.spec.template.metadata.labels',
    'spec.jobTemplate.spec.template.metadata.annotations',
  ]) {
    if (!isDeepStrictEqual(reserved(dig(before, path)), reserved(dig(after, path)))) return path;
  }
  return undefined;
}

const policyAnnotations = ['plinth.dev/policy', 'plinth.dev/ignore'] as const;

/** A policy that is none, or a field that must not be left to others. */
function policyFaultOf(object: unknown): string | undefined {
  const given = dig(object, 'metadata.annotations');
  const [policy, ignore] = policyAnnotations.map((name) => (isMap(given) ? given[name] : undefined));
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  if (policy !== undefined && text(policy) === undefined) return 'plinth.dev/policy is a text such as keep';
  if (ignore !== undefined && text(ignore) === undefined) return 'plinth.dev/ignore is a text such as /spec/replicas';
  return policyFault(text(policy)) ?? ignoreFault(text(ignore));
}

const isMap = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** Labels and annotations that Plinth and the selectors read, but for those that a spec may set itself. */
function reserved(map: unknown): [string, unknown][] {
  if (!isMap(map)) return [];
  const own = /^(plinth\.dev|app\.kubernetes\.io)\//;
  return Object.entries(map)
    .filter(([key]) => own.test(key) && !policyAnnotations.some((name) => name === key))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}
