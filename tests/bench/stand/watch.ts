import { createInterface } from 'node:readline';
import type { Pool } from 'undici';
import { collectionPath, ownKinds, type Resource } from '#runtime/kubernetes/resources.ts';

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

/**
 * Looks at the cluster directly, every kind that Plinth applies (or those given), so that nothing of Plinth's own says
 * when it is done. What is there already is not shown.
 */
export async function watchCluster(
  pool: Pool,
  selector: string,
  kinds: readonly Resource[] = ownKinds.resources,
): Promise<ClusterWatch> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const waiting = new Set<(seen: Seen) => void>();
  const follow = async (path: string) => {
    let version = await versionNow(pool, path);
    if (version === undefined) return; // a kind that this cluster lacks
    const open = async () => {
      const url = `${path}?watch=1&resourceVersion=${version}&labelSelector=${encodeURIComponent(selector)}`;
      const { statusCode, body } = await pool.request({ method: 'GET', path: url, signal, bodyTimeout: 0 });
      if (statusCode !== 200) throw new Error(`the bench's watch of ${path} was answered ${statusCode}`);
      return body;
    };
    const lines = async (body: Awaited<ReturnType<typeof open>>) => {
      for await (const line of createInterface({ input: body })) {
        const atMs = performance.now();
        const { type, object } = JSON.parse(line);
        if (type === 'ERROR') throw new Error(`the bench's watch of ${path} ended: ${line}`);
        version = object.metadata.resourceVersion;
        for (const tell of [...waiting]) tell({ type, object, atMs });
      }
    };
    // The API server ends the watches of those who read too slowly for a moment: they go on where they were.
    const goOn = async (first: Awaited<ReturnType<typeof open>>) => {
      for (let body = first; !signal.aborted; body = await open()) await lines(body);
    };
    const first = await open();
    goOn(first).catch((error: unknown) => {
      if (!signal.aborted) console.error(error);
    });
  };
  await Promise.all(kinds.map((resource) => follow(collectionPath(resource))));
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

async function versionNow(pool: Pool, path: string): Promise<string | undefined> {
  const { statusCode, body } = await pool.request({ method: 'GET', path: `${path}?limit=1` });
  const text = await body.text();
  return statusCode === 200 ? JSON.parse(text).metadata.resourceVersion : undefined;
}
