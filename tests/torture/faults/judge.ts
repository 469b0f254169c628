import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import type { Deletion } from '#support/fault-proxy.ts';
import { type Contents, collections, isPreciousName, objectOf, unlike } from './objects.ts';
import { strangers } from './slot.ts';

/** What Git said of a project, and from when on. */
export interface Said {
  readonly atMs: number;
  /** When the controller knows at the latest: where nobody told it, its poll does. */
  readonly knownMs: number;
  readonly contents: Contents | undefined;
}

/** What is known of a schedule's truth, by project. */
export interface Truth {
  readonly said: ReadonlyMap<ProjectKey, readonly Said[]>;
  /** Uids of objects that another hand made. */
  readonly foreign: ReadonlySet<string>;
}

/**
 * A run decides by the newest commit that the controller knows, and a request takes its time on the way: so long after a
 * commit that wants an object again its deletion may still arrive. It is made anew then; no later one is excused.
 */
const lateMs = 2000;

/** Deletions of what Git wanted all the time, of what only a person may let go, and of what is not ours. */
export function wrongDeletions(deletions: readonly Deletion[], truth: Truth): readonly string[] {
  return deletions.flatMap((deletion) => {
    const why = whyWrong(deletion, truth);
    return why === undefined ? [] : [`wrong deletion of ${deletion.path}: ${why}`];
  });
}

function whyWrong({ path, uid, receivedMs, answeredMs }: Deletion, { said, foreign }: Truth): string | undefined {
  if (uid === undefined) return 'it names no uid';
  if (foreign.has(uid)) return 'the object belongs to another';
  const place = placeOf(path, [...said.keys()]);
  if (place === undefined) return 'only a person may let it go, or it is none of the schedule';
  const { key, name } = place;
  if (isPreciousName(name)) return 'only a person may let it go';
  if (strangers.some((stranger) => name === `ConfigMap/${stranger}`)) return 'the object belongs to another';
  const all = said.get(key) ?? [];
  const inForce = all.filter(({ atMs }, index) => {
    const until = all[index + 1]?.knownMs ?? Number.POSITIVE_INFINITY;
    return atMs <= answeredMs && until >= receivedMs - lateMs;
  });
  const unwanted = inForce.some(({ contents }) => contents !== undefined && !contents.has(name));
  return unwanted ? undefined : `Git wanted it (${inForce.length} revisions)`;
}

function placeOf(path: string, keys: readonly ProjectKey[]): { key: ProjectKey; name: string } | undefined {
  for (const key of keys)
    for (const [kind, collection] of Object.entries(collections)) {
      const start = `${collection.replace(':', namespaceOf(key))}/`;
      if (path.startsWith(start)) return { key, name: `${kind}/${path.slice(start.length)}` };
    }
  return undefined;
}

interface Live {
  readonly metadata: { readonly uid: string; readonly deletionTimestamp?: string };
}

/** How a project stands when it has come to rest. */
export interface Standing {
  readonly phase: string | undefined;
  readonly live: ReadonlyMap<string, Live>;
}

/** Why a project does not stand yet as Git's last commit says, or undefined. */
export function unsettled(key: ProjectKey, { phase, live }: Standing, { said, foreign }: Truth): string | undefined {
  const contents = said.get(key)?.at(-1)?.contents;
  const ours = [...live].filter(([name, object]) => isOurs(name, object, foreign));
  if (contents === undefined) {
    // Nothing of a project that left goes before a person said yes to its namespace.
    if (phase === 'needs-confirmation' || (phase === undefined && ours.length === 0)) return undefined;
    return `its folder is gone and it is ${phase}`;
  }
  const left = ours.map(([name]) => name).filter((name) => !contents.has(name));
  const tooMany = left.filter((name) => !isPreciousName(name));
  if (tooMany.length > 0) return `${tooMany.join(', ')} should be gone; it is ${phase}`;
  for (const [name, version] of contents) {
    const object = live.get(name);
    if (object === undefined) return `${name} is not there; it is ${phase}`;
    if (object.metadata.deletionTimestamp !== undefined) return `${name} is on its way out; it is ${phase}`;
    // Items of a list say neither kind nor version.
    const { apiVersion, kind, ...wanted } = objectOf(key, name, version);
    const why = unlike(wanted, object);
    if (why !== undefined) return `${name}: ${why}; it is ${phase}`;
  }
  const wanted = left.length > 0 ? 'needs-confirmation' : 'applied';
  return phase === wanted ? undefined : `all is as it should be but it is ${phase}, not ${wanted}`;
}

function isOurs(name: string, { metadata }: Live, foreign: ReadonlySet<string>): boolean {
  if (foreign.has(metadata.uid)) return false;
  return !['ConfigMap/kube-root-ca.crt', 'ServiceAccount/default'].includes(name);
}
