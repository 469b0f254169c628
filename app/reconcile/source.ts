import { Fault } from '#base/errors.ts';
import type { Database } from '#database/pool.ts';
import { manifestsFile, namespaceOf, type ProjectKey, specFile } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import type { Repository } from '#git/repository.ts';
import { keyOf, objectText, type Runtime } from '#runtime/runtime.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { type Desired, digestOf, readManifests, type SecretValue, secretNames, toDesired } from './desired.ts';
import { isRendered } from './store.ts';

/** Where the desired state comes from. */
export interface SourceDoors {
  readonly repository: Repository;
  readonly database: Database;
  readonly secrets: Secrets;
  readonly runtime: Runtime;
  /** The environment as its environment.yaml says at a revision. */
  environmentAt(revision: string, name: string): Promise<Environment>;
}

/** The desired state of one project at one revision, proved and complete. */
export interface Source {
  readonly desired: readonly Desired[];
  readonly values: ReadonlyMap<string, SecretValue>;
  readonly manifestsDigest: string;
}

/**
 * Reads what should run: the manifests at `revision`, if publish made them of the spec beside them, each object let
 * through by the apply door, joined with its secrets.
 * @throws Fault MANIFESTS_UNKNOWN | OBJECT_NOT_ALLOWED | SECRET_NOT_ALLOWED | SECRET_UNREADABLE
 */
export async function readSource(doors: SourceDoors, key: ProjectKey, revision: string): Promise<Source> {
  const [spec, manifests] = await doors.repository.readMany(revision, [specFile(key), manifestsFile(key)]);
  if (spec === undefined || manifests === undefined) throw new Fault('MANIFESTS_UNKNOWN', { ...key });
  const manifestsDigest = digestOf(manifests);
  const proved = await isRendered(doors.database, key, { spec: digestOf(spec), manifests: manifestsDigest });
  if (!proved) throw new Fault('MANIFESTS_UNKNOWN', { ...key });

  const objects = readManifests(new TextDecoder().decode(manifests));
  const environment = await doors.environmentAt(revision, key.environment);
  for (const object of objects) {
    const why = doors.runtime.refusedBecause(object, {
      namespace: namespaceOf(key),
      podSecurity: environment.podSecurity,
      objects,
    });
    if (why !== undefined) throw new Fault('OBJECT_NOT_ALLOWED', { object: objectText(keyOf(object)), why });
  }
  const names = secretNames(objects);
  const values = await doors.secrets.resolve(key, names);
  const missing = names.find((name) => !values.has(name));
  if (missing !== undefined) throw new Fault('SECRET_NOT_ALLOWED', { secret: missing });
  const versions = new Map([...values].map(([name, { version }]) => [name, version]));
  return { desired: toDesired(objects, versions), values, manifestsDigest };
}
