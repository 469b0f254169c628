import type { Secret } from '#base/secret.ts';
import { annotations, type LiveObject, labels } from '../runtime.ts';
import { customHealth, type HealthRule } from './custom-health.ts';
import { at, textOf } from './fields.ts';
import { type BindingModes, healthOf } from './health.ts';
import { ownedDigest } from './owned.ts';

/**
 * What is kept of an object. List answers and watch events both pass through here, and the body is dropped after it.
 * `apiVersion` and `kind` are given because the items of a list do not carry them.
 */
export function liveObject(
  kind: { readonly apiVersion: string; readonly kind: string },
  object: unknown,
  bindingModes: BindingModes,
  digestKey?: Secret<Buffer>,
  rule?: HealthRule,
): LiveObject {
  const metadata = at(object, 'metadata');
  const installation = at(metadata, 'labels', labels.installation);
  const epoch = epochOf(object);
  return {
    key: {
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      namespace: textOf(at(metadata, 'namespace')),
      name: textOf(at(metadata, 'name')),
    },
    uid: textOf(at(metadata, 'uid')),
    resourceVersion: textOf(at(metadata, 'resourceVersion')),
    ownedDigest: ownedDigest(object, kind.kind === 'Secret' ? digestKey : undefined),
    health: rule === undefined ? healthOf(kind.kind, object, bindingModes) : customHealth(object, rule),
    deleting: at(metadata, 'deletionTimestamp') !== undefined,
    installation: typeof installation === 'string' ? installation : undefined,
    // Most objects carry neither, and are kept in memory by the thousand.
    ...(epoch === undefined ? {} : { epoch }),
    ...(isKept(metadata) ? { keep: true } : {}),
  };
}

/** The epoch of the lease under which an object was created; undefined where none was noted. */
export function epochOf(object: unknown): number | undefined {
  const text = textOf(at(object, 'metadata', 'annotations', annotations.epoch));
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

const isKept = (metadata: unknown): boolean =>
  textOf(at(metadata, 'annotations', annotations.policy))
    .split(',')
    .some((policy) => policy.trim() === 'keep');
