import type { Secret } from '#base/secret.ts';
import { type LiveObject, labels } from '../runtime.ts';
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
): LiveObject {
  const metadata = at(object, 'metadata');
  const installation = at(metadata, 'labels', labels.installation);
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
    health: healthOf(kind.kind, object, bindingModes),
    deleting: at(metadata, 'deletionTimestamp') !== undefined,
    installation: typeof installation === 'string' ? installation : undefined,
  };
}
