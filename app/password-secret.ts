import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keepInFile, type PasswordKeeper } from '#auth/people/password-keeper.ts';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { createClient } from '#runtime/kubernetes/client.ts';
import type { Cluster, Found } from '#runtime/kubernetes/connect.ts';

const name = 'plinth-admin-password';

/** In a cluster the administrator's generated password goes into a Secret beside our own pod; elsewhere into a file. */
export async function passwordKeeper(found: Found, dataDirectory: string, clock: Clock): Promise<PasswordKeeper> {
  if (found.kind !== 'cluster' || found.source !== 'in-cluster') return keepInFile(dataDirectory);
  const namespace = (await readFile(join(found.path, 'namespace'), 'utf8')).trim();
  return keepInSecret(found, namespace, clock);
}

/** Keeps it in the Secret `plinth-admin-password`. Its account needs get, patch, create and delete on that Secret. */
export function keepInSecret(
  cluster: Pick<Cluster, 'name' | 'server' | 'credentials'>,
  namespace: string,
  clock: Clock,
): PasswordKeeper {
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  const place = `Secret ${namespace}/${name}`;
  /** One request on a client of its own: it is asked for once or twice in a life. */
  const ask = async (method: 'GET' | 'PATCH' | 'DELETE', query = '', body?: unknown) => {
    const { server, credentials } = cluster;
    const client = createClient({ cluster: cluster.name, server, credentials, clock, onRequest: () => {} });
    try {
      const contentType = 'application/apply-patch+yaml';
      const { status } = await client.request(method, `${collection}/${name}${query}`, { body, contentType });
      if (status >= 300 && status !== 404)
        throw new Fault('RUNTIME_UNAVAILABLE', { cluster: cluster.name, why: `${method} of ${place} gives ${status}` });
      return status;
    } finally {
      await client.close();
    }
  };
  return {
    place,
    write: async (password) => {
      const data = { password: Buffer.from(password.reveal()).toString('base64') };
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type: 'Opaque', data };
      if ((await ask('PATCH', '?fieldManager=plinth&force=true', secret)) === 404)
        throw new Fault('RUNTIME_UNAVAILABLE', { cluster: cluster.name, why: `there is no namespace ${namespace}` });
    },
    isThere: async () => (await ask('GET')) === 200,
    remove: async () => {
      await ask('DELETE');
    },
  };
}
