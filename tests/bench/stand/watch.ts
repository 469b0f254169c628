import { createInterface } from 'node:readline';
import type { Pool } from 'undici';
import { collectionPath, resources } from '#runtime/kubernetes/resources.ts';

/** An object as a watch of the bench's own shows it, with the moment at which it arrived. */
export interface Seen {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  // biome-ignore lint/suspicious/noExplicitAny: the shape is the API server's; each caller knows what it asked for
  readonly object: any;
  readonly atMs: number;
}

export interface ClusterWatch {
  /** The next event that `test` accepts, from those that come from now on. */
  next(test: (seen: Seen) => boolean): Promise<Seen>;
  stop(): void;
}

/** Looks at the cluster directly, every kind that Plinth applies, so that nothing of Plinth's own says when it is done. */
export async function watchCluster(pool: Pool, selector: string): Promise<ClusterWatch> {
  const stopping = new AbortController();
  const waiting = new Set<(seen: Seen) => void>();
  const follow = async (path: string) => {
    const url = `${path}?watch=1&labelSelector=${encodeURIComponent(selector)}`;
    const { statusCode, body } = await pool.request({
      method: 'GET',
      path: url,
      signal: stopping.signal,
      bodyTimeout: 0,
    });
    if (statusCode === 404) return; // a kind that this cluster lacks
    const lines = async () => {
      for await (const line of createInterface({ input: body })) {
        const atMs = performance.now();
        const { type, object } = JSON.parse(line);
        for (const tell of [...waiting]) tell({ type, object, atMs });
      }
    };
    lines().catch(() => {}); // it ends with stop()
  };
  await Promise.all(resources.map((resource) => follow(collectionPath(resource))));
  return {
    next: (test) =>
      new Promise((resolve) => {
        const tell = (seen: Seen) => {
          if (!test(seen)) return;
          waiting.delete(tell);
          resolve(seen);
        };
        waiting.add(tell);
      }),
    stop: () => stopping.abort(),
  };
}
