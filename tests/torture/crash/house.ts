import { mkdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '#database/connection.ts';
import type { Identity } from '#scripts/cluster/certificates.ts';
import { writeKubeconfig } from '#scripts/cluster/kubeconfig.ts';
import type { SharedCluster } from '#support/cluster.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import type { FaultProxy, ProxiedClient } from '#support/fault-proxy.ts';
import { runGit } from '#support/git.ts';
import { projectPath } from '../../bench/reconcile/latency.ts';
import { putNext, type Told, unlike } from '../../bench/stand/told.ts';
import { openDatabaseDoor } from './database-door.ts';
import { createFuse, type Fuse } from './fuse.ts';

export interface HouseDoors {
  readonly cluster: Pick<SharedCluster, 'api'>;
  readonly identity: Identity;
  readonly proxy: FaultProxy;
  /** A database of the house's own, every migration is the control plane's to make. */
  readonly connection: Connection;
  readonly directory: string;
  readonly number: number;
}

/** A control plane in a process of its own, all of whose side effects pass through doors that can end it. */
export interface House {
  readonly fuse: Fuse;
  readonly told: readonly Told[];
  readonly client: ProxiedClient;
  readonly api: SharedCluster['api'];
  readonly plinth: ControlPlane;
  start(): Promise<void>;
  /** Sends the next version; false when the process is gone. */
  putNext(told: Told): Promise<boolean>;
  /** Waits until every project stands as its newest change says. @throws after `mostMs` */
  converge(mostMs: number): Promise<void>;
  /** Ids of the changes in the newest commits, newest first. */
  committed(most: number): Promise<readonly string[]>;
  close(): Promise<void>;
}

export async function openHouse(doors: HouseDoors): Promise<House> {
  const { cluster, proxy, connection, number } = doors;
  const fuse = createFuse();
  const database = await openDatabaseDoor(connection, fuse);
  const client = proxy.open();
  client.onWrite = (when) => fuse.passes('api', when);
  const data = join(doors.directory, `house-${number}`, 'data');
  mkdirSync(data, { recursive: true });
  const kubeconfig = join(doors.directory, `house-${number}`, 'kubeconfig');
  writeKubeconfig(kubeconfig, client.url, doors.identity);
  const password = encodeURIComponent(connection.password.reveal());
  const url = `postgresql://${connection.user}:${password}@127.0.0.1:${database.port}/${connection.database}?sslmode=disable`;
  const environment = { KUBECONFIG: kubeconfig, ARCHESTRA_DATABASE_URL: url, LOG_LEVEL: 'warn' };
  const team = `crash-${number}`;
  const told = ['one', 'two', 'three'].map(
    (project): Told => ({
      key: { environment: 'local', team, project },
      sent: -1,
      acknowledged: [],
    }),
  );
  let plinth: ControlPlane | undefined;
  let git: ReturnType<typeof watch> | undefined;
  const present = () => {
    if (plinth === undefined) throw new Error('the control plane was not started');
    return plinth;
  };
  const house: House = {
    fuse,
    told,
    client,
    api: cluster.api,
    get plinth() {
      return present();
    },
    start: async () => {
      plinth = await startControlPlane({ dataDirectory: data, environment });
      git ??= watch(join(data, 'state.git'), { recursive: true }, (type) => {
        if (type === 'rename') fuse.passes('git', 'after');
      });
    },
    putNext: (one) => putNext(present(), one),
    converge: async (mostMs) => {
      const end = performance.now() + mostMs;
      for (const one of told)
        for (;;) {
          const why = await unlike(present(), cluster.api, one);
          if (why === undefined) break;
          if (performance.now() > end)
            throw new Error(`${projectPath(one.key)} did not converge: ${why}\n${present().log().slice(-2000)}`);
          await sleep(20);
        }
    },
    committed: async (most) => {
      const args = ['log', `-${most}`, '--format=%(trailers:key=Plinth-Change,valueonly)', 'main'];
      const { stdout } = await runGit(doors.directory, ['--git-dir', join(data, 'state.git'), ...args]);
      return stdout.split('\n').filter((line) => line !== '');
    },
    close: async () => {
      git?.close();
      await plinth?.kill();
      client.close();
      await database.close();
    },
  };
  return house;
}
