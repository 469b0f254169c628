import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import { keyText, manifestsFile, namespaceOf, type ProjectKey, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { createEnvironments } from '#publish/environments.ts';
import { recordRenders } from '#publish/store.ts';
import { type Controller, startController } from '#reconcile/controller.ts';
import { digestOf } from '#reconcile/decide/desired.ts';
import { readRememberedOf } from '#reconcile/remembered.ts';
import { readReports, type StoredReport } from '#reconcile/reports.ts';
import type { Share } from '#reconcile/share.ts';
import { type Confirmation, readOrders, type Status } from '#reconcile/store.ts';
import { createKubernetesRuntime } from '#runtime/kubernetes/kubernetes.ts';
import type { KubernetesObject } from '#runtime/runtime.ts';
import { openSecrets } from '#secrets/open.ts';
import { describeWithCluster, type SharedCluster } from '#support/cluster.ts';
import { newCommit, silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { eventually } from '#support/walk.ts';
import { writeManifests } from '#synth/manifests.ts';
import { clusterOf } from '../runtime/start-runtime.ts';

/** A controller over a real repository, database and cluster; manifests are written by the test, as if publish had. */
export interface Stand {
  readonly cluster: SharedCluster;
  readonly installation: string;
  /** A new project of its own namespace. */
  project(): StandProject;
  /** Writes environment.yaml of `local` with these lines more. */
  environment(more: string): Promise<void>;
  /** Ends the controller and starts another one, as after a crash; `between` happens while there is none. */
  restart(between?: () => Promise<unknown>): Promise<void>;
}

export interface StandProject {
  readonly key: ProjectKey;
  readonly namespace: string;
  /** Commits manifests: the Namespace with these annotations, and these objects; null: the folder goes. */
  write(objects: readonly KubernetesObject[] | null, annotations?: Readonly<Record<string, string>>): Promise<void>;
  status(): Promise<Status | undefined>;
  /** Waits for a status. */
  until(wanted: (status: Status) => unknown): Promise<Status>;
  /** Waits until the last write is applied. */
  applied(): Promise<Status>;
  question(): Promise<Confirmation | undefined>;
  /** Says yes to the open question and gives its list. */
  confirm(): Promise<readonly string[]>;
  reports(): Promise<readonly StoredReport[]>;
  history(): Promise<readonly string[]>;
  /** Switches an action off, or on again. */
  switch(action: string, reason: string | null): Promise<void>;
  wake(): void;
}

const environmentYaml = 'apiVersion: plinth.dev/v1\nkind: Environment\nruntime: kubernetes\ndomain: local.test\n';

/** A suite with a stand of its own on the run's cluster. `clock` and `through`, a way to the database, are the controller's. */
export function describeStand(
  name: string,
  tests: (stand: Stand) => void,
  {
    share,
    clock = systemClock,
    through = (database) => database,
  }: { readonly share?: Share; readonly clock?: Clock; readonly through?: (database: Database) => Database } = {},
): void {
  describeWithCluster(name, (cluster) => {
    const db = useDatabase();
    const installation = `ins-${randomBytes(6).toString('hex')}`;
    let repository: Repository;
    let controller: Controller | undefined;
    let remove = () => {};
    let directory = '';

    let written: Promise<unknown> = Promise.resolve();
    /** Tests write side by side, the repository takes one at a time. */
    const write = async (files: Record<string, string | null>) => {
      const mine = written.then(async () =>
        commit(repository, { expected: await repository.tip(), commits: [newCommit(files)] }),
      );
      written = mine.catch(() => {});
      await mine;
      controller?.moved();
    };

    const begin = async () => {
      const metrics = createMetrics();
      const shared = { database: db.database, clock: systemClock, log: silent, metrics };
      const encryption = { dataDirectory: directory };
      const { secrets } = await openSecrets({ database: db.database, log: silent, clock: systemClock, encryption });
      const runtime = createKubernetesRuntime({
        ...shared,
        digestKey: new Secret(Buffer.alloc(32)),
        installation,
        cluster: await clusterOf(cluster().kubeconfig),
      });
      const environmentAt = createEnvironments(repository).one;
      const doors = { ...shared, repository, secrets, runtime, environmentAt, share };
      const database = through(db.database);
      controller = startController({ ...doors, database, clock, environment: 'local', concurrency: 8 });
      await eventually(async () => runtime.state().complete, Boolean);
    };

    beforeAll(async () => {
      const made = temporaryDirectory('plinth-stand');
      ({ remove, path: directory } = made);
      repository = await openRepository({ directory: join(directory, 'state.git'), branch: 'main', log: silent });
      await write({ 'environments/local/environment.yaml': environmentYaml });
      await begin();
    });
    afterAll(async () => {
      await controller?.stop();
      await repository?.close();
      remove();
    });

    const project = (): StandProject => {
      const key = { environment: 'local', team: 'team', project: `p${randomBytes(5).toString('hex')}` };
      const namespace = namespaceOf(key);
      const of = [key.environment, key.team, key.project];
      let digest: string | undefined;
      const status = async () => (await readRememberedOf(db.database, [key]))[0]?.status;
      const until = async (wanted: (now: Status) => unknown) =>
        (await eventually(status, (now) => now !== undefined && wanted(now))) as Status; // `wanted` saw one
      const question = async () => (await readOrders(db.database, [key]))[0]?.confirmation;
      const wake = () => controller?.wake(key);
      let count = 0;
      return {
        key,
        namespace,
        status,
        until,
        question,
        wake,
        write: async (objects, annotations = {}) => {
          if (objects === null) return await write({ [specFile(key)]: null, [manifestsFile(key)]: null });
          const spec = `# ${count++} of ${keyText(key)}\n`;
          const manifests = writeManifests([spaceOf(namespace, annotations), ...objects]);
          digest = digestOf(manifests);
          const render = { specDigest: digestOf(spec), manifestsDigest: digest, environmentDigest: '', renderer: '1' };
          await recordRenders(db.database, [{ ...key, ...render }]);
          await write({ [specFile(key)]: spec, [manifestsFile(key)]: manifests });
        },
        applied: () => until((now) => now.phase === 'applied' && now.manifestsDigest === digest),
        confirm: async () => {
          const open = await eventually(question, (asked) => asked?.confirmed === false);
          await db.database.query(
            `update confirmations set confirmed_by = 'ann', confirmed_at = now()
             where environment = $1 and team = $2 and project = $3`,
            of,
          );
          wake();
          return open?.objects ?? [];
        },
        reports: () => readReports(db.database, key, 100),
        history: async () => {
          const { rows } = await db.database.query<{ message: string }>(
            'select message from history where environment = $1 and team = $2 and project = $3 order by id',
            of,
          );
          return rows.map(({ message }) => message);
        },
        switch: async (action, reason) => {
          await db.database.query(
            'delete from switches where environment = $1 and team = $2 and project = $3 and action = $4',
            [...of, action],
          );
          if (reason !== null)
            await db.database.query(
              `insert into switches (environment, team, project, action, reason, actor) values ($1, $2, $3, $4, $5, 'ann')`,
              [...of, action, reason],
            );
          wake();
        },
      };
    };

    tests({
      get cluster() {
        return cluster();
      },
      installation,
      project,
      environment: (more) => write({ 'environments/local/environment.yaml': environmentYaml + more }),
      restart: async (between) => {
        await controller?.stop();
        controller = undefined;
        await between?.();
        await begin();
      },
    });
  });
}

const spaceOf = (name: string, annotations: Readonly<Record<string, string>>): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' }, annotations },
});
