import { createBatch } from '#base/batch.ts';
import { Fault } from '#base/errors.ts';
import type { Database } from '#database/pool.ts';
import { manifestsFile, namespaceOf, type ProjectKey, specFile } from '#environments/layout.ts';
import { type Mode, modes } from '#environments/operations.ts';
import type { Environment } from '#environments/schema.ts';
import type { Repository } from '#git/repository.ts';
import { annotations, type KubernetesObject, keyOf, objectText, type Runtime } from '#runtime/runtime.ts';
import type { Secrets, SecretsAsk } from '#secrets/secrets.ts';
import { type Desired, digestOf, readManifests, type SecretValue, secretNames, toDesired } from './decide/desired.ts';
import { ownTexts } from './kept.ts';
import { areRendered, type Origin, type RenderedAsk } from './store.ts';

/** Where the desired state comes from. */
export interface SourceDoors {
  readonly repository: Repository;
  readonly database: Database;
  readonly secrets: Secrets;
  readonly runtime: Runtime;
  /** The environment as its environment.yaml says at a revision. */
  environmentAt(revision: string, name: string): Promise<Environment>;
  /** Version of Plinth: what an older apply door let in is looked at again by a newer one. Default none. */
  readonly version?: string | undefined;
  /** Joins the questions of many runs; default: each asks alone. */
  readonly questions?: Questions | undefined;
}

/** What reading a source asks of the database. */
export interface Questions {
  isRendered(asked: RenderedAsk): Promise<boolean>;
  resolve(asked: SecretsAsk): Promise<ReadonlyMap<string, SecretValue>>;
  versions(asked: SecretsAsk): Promise<ReadonlyMap<string, string>>;
}

/** Projects that are asked about in one statement. */
const mostAtOnce = 200;
/** One path of Vault that answers late holds up those who asked with it, not everybody. */
const secretsAtOnce = 4;

/** Under load one statement answers for many. */
export function createQuestions({ database, secrets }: Pick<SourceDoors, 'database' | 'secrets'>): Questions {
  return {
    isRendered: createBatch(mostAtOnce, (asked) => areRendered(database, asked)),
    resolve: createBatch(mostAtOnce, (asked) => secrets.resolveMany(asked), secretsAtOnce),
    versions: createBatch(mostAtOnce, (asked) => secrets.versions(asked), secretsAtOnce),
  };
}

/** The desired state of one project at one revision, proved and complete. */
export interface Source {
  readonly desired: readonly Desired[];
  readonly values: ReadonlyMap<string, SecretValue>;
  readonly manifestsDigest: string;
  /** What it was made of, but for the blobs, which who asks knows. */
  readonly origin: Omit<Origin, 'spec' | 'manifests'>;
  /** Installations whose objects may be taken over where a policy says adopt. */
  readonly adoptFrom: readonly string[];
}

/**
 * Reads what should run: the manifests at `revision`, if publish made them of the spec beside them, each object let
 * through by the apply door, joined with its secrets.
 * @throws Fault MANIFESTS_UNKNOWN | OBJECT_NOT_ALLOWED | SECRET_NOT_ALLOWED | SECRET_UNREADABLE
 */
export async function readSource(doors: SourceDoors, key: ProjectKey, revision: string): Promise<Source> {
  const questions = doors.questions ?? createQuestions(doors);
  const [spec, manifests] = await doors.repository.readMany(revision, [specFile(key), manifestsFile(key)]);
  if (spec === undefined || manifests === undefined) throw new Fault('MANIFESTS_UNKNOWN', { ...key });
  const manifestsDigest = digestOf(manifests);
  const proved = await questions.isRendered({ key, spec: digestOf(spec), manifests: manifestsDigest });
  if (!proved) throw new Fault('MANIFESTS_UNKNOWN', { ...key });

  const objects = readManifests(new TextDecoder().decode(manifests));
  const environment = await doors.environmentAt(revision, key.environment);
  assertAllowed(doors, key, environment, objects);
  const names = secretNames(objects);
  const values = names.length === 0 ? none : await questions.resolve({ from: key, names });
  const missing = names.find((name) => !values.has(name));
  if (missing !== undefined) throw new Fault('SECRET_NOT_ALLOWED', { secret: missing });
  const versions = new Map([...values].map(([name, { version }]) => [name, version]));
  return {
    desired: toDesired(objects, versions),
    values,
    manifestsDigest,
    adoptFrom: environment.reconcile.adoptFrom ?? [],
    origin: {
      door: doorOf(doors, environment),
      secrets: [...versions.values()].sort(),
      ...wishesOf(key, objects),
    },
  };
}

const none: ReadonlyMap<string, SecretValue> = new Map();

/** The apply door, for all objects before the first is applied. */
function assertAllowed(
  { runtime }: SourceDoors,
  key: ProjectKey,
  { podSecurity, kinds }: Environment,
  objects: readonly KubernetesObject[],
): void {
  for (const object of objects) {
    const why = runtime.refusedBecause(object, { namespace: namespaceOf(key), podSecurity, objects, kinds });
    if (why !== undefined) throw new Fault('OBJECT_NOT_ALLOWED', { object: objectText(keyOf(object)), why });
  }
}

/** What the door's decision depends on beside the objects. */
const doorOf = ({ version }: SourceDoors, { podSecurity, kinds }: Environment): string =>
  digestOf(JSON.stringify({ version, podSecurity, kinds })).slice(7, 39);

/** What the project's Namespace says about how it is run. */
function wishesOf(key: ProjectKey, objects: readonly KubernetesObject[]): Pick<Origin, 'mode' | 'dependsOn'> {
  const namespace = objects.find(({ kind, metadata }) => kind === 'Namespace' && metadata.name === namespaceOf(key));
  const { [annotations.mode]: mode, [annotations.dependsOnProjects]: on = '' } = namespace?.metadata.annotations ?? {};
  const dependsOn = on.split(',').flatMap((name) => name.trim() || []);
  return {
    mode: modes.find((known): known is Mode => known === mode),
    dependsOn: dependsOn.length === 0 ? undefined : ownTexts(dependsOn),
  };
}

/**
 * True when reading the source at `revision` would make the same of it again: no file is read for that, and of the
 * secrets the versions only.
 */
export async function isSameOrigin(
  doors: SourceDoors,
  key: ProjectKey,
  revision: string,
  { door, secrets }: Origin,
): Promise<boolean> {
  if (door !== doorOf(doors, await doors.environmentAt(revision, key.environment))) return false;
  if (secrets.length === 0) return true;
  const questions = doors.questions ?? createQuestions(doors);
  const names = secrets.map((version) => version.slice(0, version.lastIndexOf('@')));
  const now = await questions.versions({ from: key, names });
  return secrets.length === now.size && secrets.every((version, i) => now.get(names[i] ?? '') === version);
}
