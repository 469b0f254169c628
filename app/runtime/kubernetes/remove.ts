import { labels, type ObjectKey, type Propagation, type Removal, type RemoveOptions } from '../runtime.ts';
import type { ApplyDoors } from './apply.ts';
import type { Answer } from './client.ts';
import { at, textOf } from './fields.ts';
import { refusal } from './refusal.ts';

interface Known {
  readonly key: ObjectKey;
  readonly uid: string;
}

const rounds = 6;

const policies: Readonly<Record<Propagation, string>> = {
  background: 'Background',
  foreground: 'Foreground',
  orphan: 'Orphan',
};

/**
 * Deletes exactly the object that was known, as it was last seen: the API server compares uid and resource version, so
 * that a request that was held up on its way deletes nothing once somebody else has written. An object that the watch
 * does not show as ours is read first: somebody may have given it to another installation.
 * @throws Fault OBJECT_REFUSED | OBJECT_DENIED | OBJECT_CONFLICT | RUNTIME_UNAVAILABLE | LEASE_LOST
 */
export async function removeObject(doors: ApplyDoors, known: Known, options: RemoveOptions): Promise<Removal> {
  const { signal, fence, propagation = 'background' } = options;
  const path = doors.kinds.objectPath(known.key);
  const live = doors.index.find(known.key);
  let version = live?.uid === known.uid ? live.resourceVersion : undefined;
  for (let round = 1; ; round++) {
    if (version === undefined) {
      const verdict = judge(await doors.client.request('GET', path, { signal }), known, doors.installation);
      if (verdict.removal !== undefined) return verdict.removal;
      version = verdict.version;
    }
    const answer = await doors.client.request('DELETE', path, {
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: policies[propagation],
        preconditions: { uid: known.uid, resourceVersion: version },
      },
      signal,
      fence,
    });
    if (answer.status < 300) return 'deleted';
    if (answer.status === 404) return 'gone';
    // Another version or uid, or a namespace that is already on its way out: only a look can tell.
    if (answer.status !== 409 || round === rounds) throw refusal(known.key, answer);
    version = undefined;
  }
}

type Verdict =
  | { readonly removal: Removal; readonly version?: undefined }
  /** Ours, and still there. */
  | { readonly removal?: undefined; readonly version: string };

function judge(answer: Answer, { key, uid }: Known, installation: string): Verdict {
  if (answer.status === 404) return { removal: 'gone' };
  if (answer.status >= 300) throw refusal(key, answer);
  const metadata = at(answer.body, 'metadata');
  if (at(metadata, 'uid') !== uid) return { removal: 'foreign' };
  const owner = at(metadata, 'labels', labels.installation);
  if (owner !== undefined && owner !== installation) return { removal: 'foreign' };
  if (at(metadata, 'deletionTimestamp') !== undefined) return { removal: 'deleted' };
  return { version: textOf(at(metadata, 'resourceVersion')) };
}
