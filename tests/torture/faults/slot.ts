import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Secret } from '#base/secret.ts';
import { manifestsFile, namespaceOf, type ProjectKey, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import type { Edit } from '#git/edit.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { recordRenders } from '#publish/store.ts';
import { type Controller, startController } from '#reconcile/controller.ts';
import { createKubernetesRuntime } from '#runtime/kubernetes/kubernetes.ts';
import { labels, type Runtime } from '#runtime/runtime.ts';
import type { SharedCluster } from '#support/cluster.ts';
import type { FaultProxy, ProxiedClient } from '#support/fault-proxy.ts';
import { digestOf } from '#synth/render.ts';
import type { BenchStores } from '../../bench/stand/stores.ts';
import { type Contents, collections, manifestsOf, pathOf } from './objects.ts';

export interface SlotDoors {
  readonly stores: BenchStores;
  readonly cluster: Pick<SharedCluster, 'api'>;
  readonly proxy: FaultProxy;
  /** Waits at random before and after each step of the controller, so that steps meet in another order every time. */
  readonly jitter?: () => Promise<void>;
}

/** What a schedule happens to: an environment, an installation and a repository that no other schedule sees. */
export interface Slot {
  readonly keys: readonly ProjectKey[];
  readonly client: ProxiedClient;
  /** Nothing is left of the schedule before; `strangers` stand in every namespace. */
  clean(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
  commit(changes: readonly (readonly [ProjectKey, Contents | undefined])[]): Promise<void>;
  /** Commits these very bytes as manifests.yaml, recorded as if publish had made them. */
  commitBytes(key: ProjectKey, manifests: string): Promise<void>;
  /** Says that Git moved, as the notice does. */
  moved(): void;
  /** How each project stands by the controller's record. */
  phases(): Promise<ReadonlyMap<string, Recorded>>;
  /** True when the controller has written down that it made the object: from then on it is ours, label or not. */
  isRecorded(key: ProjectKey, name: string): Promise<boolean>;
  /** Live objects of a project by `Kind/name`, those of other hands included. */
  // biome-ignore lint/suspicious/noExplicitAny: objects as the API server gives them
  live(key: ProjectKey): Promise<ReadonlyMap<string, any>>;
  close(): Promise<void>;
}

export interface Recorded {
  readonly phase: string;
  readonly problem: string;
  /** Of the manifests that were carried out last. */
  readonly digest: string | null;
  /** The deletions that wait for a person. */
  readonly asked: readonly string[];
}

/** Names of objects that belong to others and must never be touched. */
export const strangers = ['stranger-plain', 'stranger-copied', 'stranger-other'] as const;
const projectNames = ['one', 'two', 'six'];
/** Short, so that what hangs is noticed within a schedule. */
const requestTimeoutMs = 1500;
const watchIdleMs = 3000;

export async function openSlot(doors: SlotDoors, number: number): Promise<Slot> {
  const { stores, cluster } = doors;
  const { database, clock, log } = stores;
  // Others may stand on the same cluster.
  const environment = `t${stores.directory.slice(-4)}${number}`;
  const installation = `ins_torture_${environment}`;
  const keys = projectNames.map((project) => ({ environment, team: 'torture', project }));
  const repository = await openRepository({
    directory: join(stores.directory, `${environment}.git`),
    branch: 'main',
    log,
  });
  let client = doors.proxy.open();
  let controller: Controller | undefined;

  const start = () => {
    const credentials = { tls: () => identity, authorization: () => undefined, refresh: async () => false };
    const cluster = { name: 'torture', server: client.url, credentials };
    const digestKey = new Secret(Buffer.alloc(32));
    const runtime = createKubernetesRuntime({
      ...stores,
      cluster,
      installation,
      digestKey,
      watchIdleMs,
      requestTimeoutMs,
    });
    const environmentAt = async () => ({ ...stores.environment, name: environment });
    const given = { ...stores, repository, environment, runtime, concurrency: 16, environmentAt };
    controller = startController(doors.jitter === undefined ? given : { ...given, ...jittered(given, doors.jitter) });
  };
  const stop = async () => {
    await controller?.stop();
    controller = undefined;
  };

  return {
    keys,
    get client() {
      return client;
    },
    clean: async () => {
      client.close();
      client = doors.proxy.open();
      await forget(stores, environment);
      for (const key of keys) await cleanNamespace(cluster.api, key, installation);
      await write(
        repository,
        clock.now(),
        keys.flatMap((key) => filesOf(key, undefined)),
      );
    },
    start,
    stop,
    commit: async (changes) => {
      await recordRenders(
        database,
        changes.flatMap(([key, contents]) => (contents === undefined ? [] : [renderOf(key, contents)])),
      );
      await write(
        repository,
        clock.now(),
        changes.flatMap(([key, contents]) => filesOf(key, contents)),
      );
    },
    commitBytes: async (key, manifests) => {
      const spec = `# ${digestOf(manifests)}\n`;
      const made = { ...key, specDigest: digestOf(spec), manifestsDigest: digestOf(manifests) };
      await recordRenders(database, [{ ...made, environmentDigest: '', renderer: 'torture' }]);
      const files = [
        { path: specFile(key), content: spec },
        { path: manifestsFile(key), content: manifests },
      ];
      await write(repository, clock.now(), files);
    },
    moved: () => controller?.moved(),
    phases: () => phasesOf(stores, environment),
    isRecorded: async ({ team, project }, name) => {
      const { rows } = await database.query(
        'select 1 from inventory where environment = $1 and team = $2 and project = $3 and kind = $4 and name = $5',
        [environment, team, project, ...name.split('/')],
      );
      return rows.length > 0;
    },
    live: (key) => liveOf(cluster.api, key),
    close: async () => {
      await stop();
      client.close();
      await repository.close();
    },
  };
}

/** The same doors, each step of which waits at random before it begins and before its outcome is known. */
function jittered({ repository, runtime }: { repository: Repository; runtime: Runtime }, jitter: () => Promise<void>) {
  const slow =
    <Args extends unknown[], T>(step: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      await jitter();
      const outcome = await step(...args);
      await jitter();
      return outcome;
    };
  const { tip, changed, readMany, isAncestor, describe } = repository;
  return {
    repository: {
      ...repository,
      tip: slow(tip),
      changed: slow(changed),
      readMany: slow(readMany),
      isAncestor: slow(isAncestor),
      describe: slow(describe),
    },
    runtime: { ...runtime, apply: slow(runtime.apply), remove: slow(runtime.remove) },
  };
}

/** Stays the same object: the client opens new connections for every other one. */
const identity = {};

type Api = SharedCluster['api'];

const specOf = (contents: Contents): string => `contents: ${[...contents].join(' ')}\n`;

function filesOf(key: ProjectKey, contents: Contents | undefined): Edit[] {
  return [
    { path: specFile(key), content: contents === undefined ? null : specOf(contents) },
    { path: manifestsFile(key), content: contents === undefined ? null : manifestsOf(key, contents) },
  ];
}

const renderOf = (key: ProjectKey, contents: Contents) => ({
  ...key,
  specDigest: digestOf(specOf(contents)),
  manifestsDigest: digestOf(manifestsOf(key, contents)),
  environmentDigest: '',
  renderer: 'torture',
});

async function write(repository: Repository, at: Date, edits: readonly Edit[]): Promise<void> {
  const author = { name: 'Torture', email: 'torture@localhost' };
  const commits = [{ edits, subject: 'A step', trailers: [], author, at }];
  await commit(repository, { expected: await repository.tip(), commits });
}

/** Every row of the environment goes, whatever table it is in. */
async function forget({ database }: BenchStores, environment: string): Promise<void> {
  const { rows } = await database.query<{ name: string }>(
    `select c.table_name as name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
     where c.column_name = 'environment' and c.table_schema = current_schema() and t.table_type = 'BASE TABLE'`,
  );
  for (const { name } of rows) await database.query(`delete from "${name}" where environment = $1`, [environment]);
  await database.query(`delete from cursors where name like '%/' || $1`, [environment]);
}

async function cleanNamespace(api: Api, key: ProjectKey, installation: string): Promise<void> {
  const namespace = namespaceOf(key);
  const metadata = { name: namespace, labels: { [labels.installation]: installation } };
  await expectStatus(api('POST', '/api/v1/namespaces?fieldManager=hand', { metadata }), 201, 409);
  for (const path of Object.values(collections)) {
    const collection = path.replace(':', namespace);
    const { body } = await api('GET', collection);
    for (const { metadata } of body.items ?? []) {
      if (metadata.name === 'kube-root-ca.crt' || metadata.name === 'default') continue;
      if (metadata.finalizers !== undefined)
        await api('PATCH', `${collection}/${metadata.name}`, { metadata: { finalizers: null } }, mergePatch);
      await expectStatus(api('DELETE', `${collection}/${metadata.name}`), 200, 202, 404);
    }
  }
  const marks: Record<(typeof strangers)[number], object> = {
    'stranger-plain': {},
    'stranger-copied': { [labels.installation]: installation, 'plinth.dev/team': key.team },
    'stranger-other': { [labels.installation]: 'ins_another' },
  };
  for (const name of strangers) {
    const object = { metadata: { name, labels: marks[name] }, data: { mine: 'yes' } };
    await expectStatus(api('POST', `/api/v1/namespaces/${namespace}/configmaps?fieldManager=hand`, object), 201);
  }
}

const mergePatch = 'application/merge-patch+json';

async function expectStatus(answer: ReturnType<Api>, ...wanted: readonly number[]): Promise<void> {
  const { status, body } = await answer;
  if (!wanted.includes(status)) throw new Error(`the API server answered ${status}: ${JSON.stringify(body)}`);
}

async function phasesOf({ database }: BenchStores, environment: string): Promise<ReadonlyMap<string, Recorded>> {
  const { rows } = await database.query<Recorded & { project: string }>(
    `select s.project, s.phase, coalesce(s.problem->>'detail', '') as problem, s.manifests_digest as digest,
       coalesce(c.objects, '[]') as asked
     from project_status s left join confirmations c using (environment, team, project) where s.environment = $1`,
    [environment],
    'torture-phases',
  );
  return new Map(rows.map((row) => [row.project, row]));
}

// biome-ignore lint/suspicious/noExplicitAny: objects as the API server gives them
async function liveOf(api: Api, key: ProjectKey): Promise<ReadonlyMap<string, any>> {
  const namespace = namespaceOf(key);
  const lists = await Promise.all(
    Object.entries(collections).map(async ([kind, path]) => {
      const { body } = await api('GET', path.replace(':', namespace));
      return (body.items ?? []).map(
        (item: { metadata: { name: string } }) => [`${kind}/${item.metadata.name}`, item] as const,
      );
    }),
  );
  return new Map<string, unknown>(lists.flat());
}

/** What another hand does to an object; fields that Git says. */
export const hands = {
  edit: async (api: Api, key: ProjectKey, name: string) => {
    const body = { metadata: { annotations: { 'torture/version': 'foreign' } } };
    await expectStatus(api('PATCH', `${pathOf(key, name)}?fieldManager=hand`, body, mergePatch), 200, 404);
  },
  unlabel: async (api: Api, key: ProjectKey, name: string) => {
    const body = { metadata: { labels: { [labels.installation]: null } } };
    await expectStatus(api('PATCH', `${pathOf(key, name)}?fieldManager=hand`, body, mergePatch), 200, 404);
  },
  delete: async (api: Api, key: ProjectKey, name: string) => {
    await expectStatus(api('DELETE', pathOf(key, name)), 200, 202, 404);
  },
  /** Puts a plain object in the place of ours, however often ours comes back; gives its uid. */
  usurp: async (api: Api, key: ProjectKey, name: string): Promise<string> => {
    const plain = name.split('/')[1] ?? '';
    const object = { metadata: { name: plain }, data: { mine: 'yes' } };
    for (;;) {
      await hands.delete(api, key, name);
      const { status, body } = await api('POST', pathOf(key, name).replace(/\/[^/]+$/, '?fieldManager=hand'), object);
      if (status === 201) return body.metadata.uid;
      await sleep(20);
    }
  },
};
