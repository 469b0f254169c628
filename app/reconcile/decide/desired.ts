import { createHash } from 'node:crypto';
import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import { parseManifests } from '#environments/manifests.ts';
import { withoutIgnored } from '#environments/policies.ts';
import { annotations, type KubernetesObject, keyOf } from '#runtime/runtime.ts';
import type { DesiredObject } from './plan.ts';
import { policiesOfObject } from './policy.ts';

/** A secret's value as the store gives it; `version` changes whenever the value does. */
export interface SecretValue {
  readonly value: Secret;
  readonly version: string;
}

/** An object of manifests.yaml with all that the decision and the apply need. */
export interface Desired extends DesiredObject {
  readonly object: KubernetesObject;
  /** For a Secret: the name in the store and the key of its data; undefined for every other kind. */
  readonly secret: { readonly name: string; readonly dataKey: string } | undefined;
}

/** Names of the Secret objects that a pod template uses, comma-separated; written by synth. */
const usesSecrets = 'plinth.dev/uses-secrets';
/** The key of the value in a Secret object; written by synth. */
const secretKey = 'plinth.dev/secret-key';

export const digestOf = (text: string | Uint8Array): string =>
  `sha256:${createHash('sha256').update(text).digest('hex')}`;

/**
 * Reads manifests.yaml, without the fields that objects leave to others. The bytes were proved to be publish's before, so a fault here is a defect of ours.
 * @throws Fault OBJECT_NOT_ALLOWED where a document is no object with kind and name
 */
export function readManifests(text: string): readonly KubernetesObject[] {
  return parseManifests(text).map((value: unknown) => {
    if (!isObject(value))
      throw new Fault('OBJECT_NOT_ALLOWED', { object: 'a document', why: 'it has no kind and name' });
    return withoutIgnored(value);
  });
}

function isObject(value: unknown): value is KubernetesObject {
  if (typeof value !== 'object' || value === null) return false;
  const { apiVersion, kind, metadata } = value as {
    apiVersion?: unknown;
    kind?: unknown;
    metadata?: { name?: unknown };
  };
  return typeof apiVersion === 'string' && typeof kind === 'string' && typeof metadata?.name === 'string';
}

/** The names in the secret store that these objects ask for. */
export const secretNames = (objects: readonly KubernetesObject[]): readonly string[] => [
  ...new Set(objects.map((object) => storeName(object)).filter((name) => name !== undefined)),
];

/**
 * Joins objects with the versions of their secrets: a pod template that uses secrets carries the digest of their
 * versions, so that a rotation rolls exactly these; a Secret's digest holds its version and never its value.
 * @throws Fault OBJECT_NOT_ALLOWED for a policy that is none
 */
export function toDesired(
  objects: readonly KubernetesObject[],
  versions: ReadonlyMap<string, string>,
): readonly Desired[] {
  const versionOfObject = new Map(
    objects.flatMap((object) => {
      const name = storeName(object);
      return name === undefined ? [] : [[object.metadata.name, versions.get(name) ?? 'none'] as const];
    }),
  );
  const adoptsAll = objects.some((object) => object.kind === 'Namespace' && policiesOfObject(object)?.adopt === true);
  return objects.map((object) => {
    const sent = withSecretVersions(object, versionOfObject);
    const own = policiesOfObject(object);
    const name = storeName(object);
    const version = name === undefined ? '' : versions.get(name);
    return {
      key: keyOf(object),
      digest: digestOf(`${JSON.stringify(sent)}${version}`),
      dependsOn: list(object.metadata.annotations?.[annotations.dependsOn]),
      policies: adoptsAll ? { keep: false, replace: false, ...own, adopt: true } : own,
      claims: claimsOf(object),
      object: sent,
      secret: name === undefined ? undefined : { name, dataKey: object.metadata.annotations?.[secretKey] ?? 'value' },
    };
  });
}

/** The Secret object with its value, ready to be sent and never to be kept. */
export function withValue(desired: Desired, values: ReadonlyMap<string, SecretValue>): KubernetesObject {
  if (desired.secret === undefined) return desired.object;
  const value = values.get(desired.secret.name);
  if (value === undefined) throw new Fault('SECRET_NOT_ALLOWED', { secret: desired.secret.name });
  const data = { [desired.secret.dataKey]: Buffer.from(value.value.reveal()).toString('base64') };
  return { ...desired.object, data };
}

function storeName(object: KubernetesObject): string | undefined {
  if (object.kind !== 'Secret') return undefined;
  const reference = object.metadata.annotations?.[annotations.secret];
  return reference?.slice(reference.indexOf('/') + 1);
}

interface Template {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: { readonly volumes?: readonly Volume[] };
}

interface WorkloadSpec {
  readonly template?: Template;
  readonly persistentVolumeClaimRetentionPolicy?: { readonly whenDeleted?: string };
}

interface Volume {
  readonly persistentVolumeClaim?: { readonly claimName?: string };
}

/** The claims that the pods of a workload mount; undefined: none. */
function claimsOf({ spec }: KubernetesObject): readonly string[] | undefined {
  const { template, persistentVolumeClaimRetentionPolicy: retention } = (spec ?? {}) as WorkloadSpec;
  // One that takes its own claims with it is not deleted for the sake of another claim.
  if (retention?.whenDeleted === 'Delete') return undefined;
  const volumes = template?.spec?.volumes;
  const names = (Array.isArray(volumes) ? volumes : []).flatMap((volume: Volume) => {
    const name = volume?.persistentVolumeClaim?.claimName;
    return name === undefined ? [] : [name];
  });
  return names.length === 0 ? undefined : names;
}

/** Puts the digest of the versions beside `plinth.dev/uses-secrets` on the pod template, where there is one. */
function withSecretVersions(object: KubernetesObject, versionOfObject: ReadonlyMap<string, string>): KubernetesObject {
  const spec = object.spec as { template?: Template; jobTemplate?: { spec?: { template?: Template } } } | undefined;
  const annotate = (template: Template): Template => {
    const used = list(template.metadata?.annotations?.[usesSecrets]);
    if (used.length === 0) return template;
    const versions = used.map((name) => `${name}=${versionOfObject.get(name) ?? 'none'}`).join(',');
    const added = { ...template.metadata?.annotations, [annotations.secretVersions]: digestOf(versions).slice(7, 23) };
    return { ...template, metadata: { ...template.metadata, annotations: added } };
  };
  if (object.kind === 'Job') return object; // A Job's template cannot change; its name carries the digest of its spec.
  if (spec?.template !== undefined) return { ...object, spec: { ...spec, template: annotate(spec.template) } };
  const cron = spec?.jobTemplate;
  if (cron?.spec?.template === undefined) return object;
  const jobTemplate = { ...cron, spec: { ...cron.spec, template: annotate(cron.spec.template) } };
  return { ...object, spec: { ...spec, jobTemplate } };
}

const list = (text: string | undefined): readonly string[] =>
  text === undefined || text === '' ? [] : text.split(',').map((part) => part.trim());
