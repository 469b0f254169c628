import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { stringify } from 'yaml';
import { identityOf } from '#scripts/cluster/certificates.ts';
import type { SharedCluster } from '#support/cluster.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { type FaultProxy, startFaultProxy } from '#support/fault-proxy.ts';
import { openRemoteHost, type RemoteHost } from '#support/git-remote.ts';
import { createTestDatabase, type TestDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { eventually } from '#support/walk.ts';

/** A request of one replica that changes something in the cluster, events left out. */
export interface Write {
  /** Milliseconds of `performance.now()`, when it came to the API server's door. */
  readonly atMs: number;
  readonly path: string;
}

/** One control plane of several, with a data directory and a door to the cluster of its own. */
export interface Replica extends ControlPlane {
  /** `rep_…`, as it calls itself in the database. */
  readonly id: string;
  readonly writes: readonly Write[];
}

/** Control planes that share a database, a Git remote and a cluster. Its fields are there in hooks and tests only. */
export interface Fleet {
  readonly database: TestDatabase['database'];
  readonly remote: RemoteHost;
  readonly cluster: SharedCluster;
  readonly replicas: readonly Replica[];
  /** Starts one more and waits until it has a share. */
  add(): Promise<Replica>;
  /** The leases of each holder by its id; those of nobody under ''. */
  leases(): Promise<Readonly<Record<string, readonly string[]>>>;
  /** Waits until these replicas, and nobody else, hold everything. */
  settled(...replicas: readonly Replica[]): Promise<void>;
}

/** Lets a suite have a fleet; what is left of it ends with the suite. */
export function useFleet(cluster: () => SharedCluster): Fleet {
  const directory = useTemporaryDirectory('plinth-fleet');
  const replicas: Replica[] = [];
  let db: TestDatabase | undefined;
  let remote: RemoteHost | undefined;
  let proxy: FaultProxy | undefined;
  const present = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error('the fleet is there in hooks and tests only');
    return part;
  };

  const leases = async () => {
    const { rows } = await present(db).database.query<{ name: string; holder: string | null }>(
      'select name, holder from leases order by name',
    );
    const held = Map.groupBy(rows, ({ holder }) => holder ?? '');
    return Object.fromEntries([...held].map(([holder, some]) => [holder, some.map(({ name }) => name)]));
  };

  const add = async (): Promise<Replica> => {
    const folder = join(directory, `replica-${replicas.length + 1}`);
    const door = present(proxy).open();
    const writes: Write[] = [];
    door.onWrite = (when, path) => {
      if (when === 'before' && !path.includes('dryRun') && !/\/events\b/.test(path))
        writes.push({ atMs: performance.now(), path });
      return false;
    };
    const plinth = await startControlPlane({
      dataDirectory: join(folder, 'data'),
      environment: {
        DATABASE_URL: urlOf(present(db)),
        STATE_REPOSITORY_URL: present(remote).url,
        SECRET_KEY: 'one key for all replicas of the walk, long enough',
        KUBECONFIG: join(directory, writeKubeconfig(directory, door.url, replicas.length)),
      },
    });
    const id = await eventually(
      async () => /"replica":"(rep_[0-9a-z]+)"[^\n]*leases have changed hands/.exec(plinth.log())?.[1] ?? '',
      (found) => found !== '',
    );
    const replica: Replica = { ...plinth, id, writes };
    replicas.push(replica);
    return replica;
  };

  beforeAll(async () => {
    db = await createTestDatabase();
    remote = await openRemoteHost();
    const { url, directory: state } = cluster();
    proxy = await startFaultProxy({ server: url, identity: identityOf(`${state}/pki`, 'admin') });
  });
  afterAll(async () => {
    for (const { process: child } of replicas) child.kill('SIGCONT');
    await Promise.all(replicas.map((replica) => replica.kill()));
    await proxy?.close();
    await remote?.remove();
    await db?.drop();
  });

  return {
    get database() {
      return present(db).database;
    },
    get remote() {
      return present(remote);
    },
    get cluster() {
      return cluster();
    },
    replicas,
    add,
    leases,
    settled: async (...wanted) => {
      const ids = wanted.map(({ id }) => id).sort();
      await eventually(leases, (held) => Object.keys(held).sort().join() === ids.join(), 40_000);
    },
  };
}

/** What DATABASE_URL says to reach it. */
export function urlOf({ connection }: TestDatabase): string {
  const { host, port, user, password, database } = connection;
  const sign = `${encodeURIComponent(user)}:${encodeURIComponent(password.reveal())}`;
  return `postgresql://${sign}@/${database}?host=${encodeURIComponent(host)}&port=${port}`;
}

function writeKubeconfig(directory: string, server: string, number: number): string {
  const name = 'plinth-local';
  const file = `kubeconfig-${number}`;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
  writeFileSync(join(directory, file), stringify(config), { mode: 0o600 });
  return file;
}
