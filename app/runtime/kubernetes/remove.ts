import { labels, type ObjectKey, type Removal } from '../runtime.ts';
import type { ApplyDoors } from './apply.ts';
import type { Answer } from './client.ts';
import { at } from './fields.ts';
import { refusal } from './refusal.ts';
import { objectPath } from './resources.ts';

interface Known {
  readonly key: ObjectKey;
  readonly uid: string;
}

/**
 * Deletes exactly the object that was known: the API server compares the uid. What it owns goes in the background.
 * An object that the watch does not show as ours is read first: somebody may have given it to another installation.
 * @throws Fault OBJECT_REFUSED | RUNTIME_UNAVAILABLE
 */
export async function removeObject(doors: ApplyDoors, known: Known, signal?: AbortSignal): Promise<Removal> {
  const path = objectPath(known.key);
  const read = () => doors.client.request('GET', path, { signal });
  if (doors.index.find(known.key)?.uid !== known.uid) {
    const verdict = judge(await read(), known, doors.installation);
    if (verdict !== 'ours') return verdict;
  }
  const answer = await doors.client.request('DELETE', path, {
    body: {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      preconditions: { uid: known.uid },
    },
    signal,
  });
  if (answer.status < 300) return 'deleted';
  if (answer.status === 404) return 'gone';
  if (answer.status !== 409) throw refusal(known.key, answer);
  // Another uid, or a namespace that is already on its way out: only a look can tell.
  const verdict = judge(await read(), known, doors.installation);
  if (verdict === 'ours') throw refusal(known.key, answer);
  return verdict;
}

function judge(answer: Answer, { key, uid }: Known, installation: string): Removal | 'ours' {
  if (answer.status === 404) return 'gone';
  if (answer.status >= 300) throw refusal(key, answer);
  if (at(answer.body, 'metadata', 'uid') !== uid) return 'foreign';
  const owner = at(answer.body, 'metadata', 'labels', labels.installation);
  if (owner !== undefined && owner !== installation) return 'foreign';
  return at(answer.body, 'metadata', 'deletionTimestamp') === undefined ? 'ours' : 'deleted';
}
