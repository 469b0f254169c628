import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { environmentFile, manifestsFile, namespaceOf, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import { createEnvironments } from '#publish/environments.ts';
import { recordRenders } from '#publish/store.ts';
import { type Controller, startController } from '#reconcile/controller.ts';
import type { Runtime } from '#runtime/runtime.ts';
import { openSecrets } from '#secrets/open.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { describeWithCluster } from '#support/cluster.ts';
import { newCommit, openTemporary, silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { digestOf, render } from '#synth/render.ts';
import { clusterOf, createRuntime, until } from '../runtime/start-runtime.ts';

const db = useDatabase();
const key = { environment: 'local', team: 'rest', project: `p-${randomBytes(4).toString('hex')}` };
const namespace = namespaceOf(key);
const deploymentPath = '/apis/apps/v1/{ns}/deployments/web';
const spec = (tag: string) =>
  `apiVersion: plinth.dev/v1\nkind: Project\ncontainers:\n  web: { image: "nginx:${tag}", port: 8080, secrets: [api-key] }\n`;
const environment = readFileSync(new URL(`../../../${environmentFile('local')}`, import.meta.url), 'utf8');

describeWithCluster('a start on a project at rest', (cluster) => {
  let state: Awaited<ReturnType<typeof openTemporary>>;
  let secrets: Secrets;
  let controller: Controller | undefined;
  let reads = 0;
  const installation = `ins-${randomBytes(6).toString('hex')}`;

  beforeAll(async () => {
    state = await openTemporary();
    const encryption = { dataDirectory: dirname(state.repository.directory) };
    ({ secrets } = await openSecrets({ ...db, database: db.database, log: silent, clock: systemClock, encryption }));
    await secrets.set(key, 'api-key', new Secret('one'), 'ada');
    await commitFiles({ [environmentFile('local')]: environment });
    await publish('1');
    await startUntilApplied();
    await stop();
  });
  afterEach(() => stop());
  afterAll(async () => {
    await state?.remove();
    await cluster().api('DELETE', `/api/v1/namespaces/${namespace}`);
  });

  const commitFiles = async (files: Record<string, string>) => {
    const { repository } = state;
    await commit(repository, { expected: await repository.tip(), commits: [newCommit(files)] });
  };

  const publish = async (tag: string) => {
    const environments = createEnvironments(state.repository);
    const now = await environments.one((await state.repository.tip()) ?? '', 'local');
    const { manifests } = render({ environment: now, key, spec: spec(tag) });
    const digests = { specDigest: digestOf(spec(tag)), manifestsDigest: digestOf(manifests) };
    await recordRenders(db.database, [{ ...key, ...digests, environmentDigest: '', renderer: '1' }]);
    await commitFiles({ [specFile(key)]: spec(tag), [manifestsFile(key)]: manifests });
  };

  /** Starts, waits until everything was looked at, and returns what was read and written meanwhile. */
  const startUntilApplied = async (isDone: () => Promise<boolean> = async () => true) => {
    const { runtime, metrics } = createRuntime(await clusterOf(cluster().kubeconfig), { installation });
    reads = 0;
    let writes = 0;
    const ours = createMetrics();
    controller = startController({
      environment: 'local',
      repository: {
        ...state.repository,
        readMany: async (...asked) => {
          reads += 1;
          return await state.repository.readMany(...asked);
        },
      },
      database: {
        ...db.database,
        query: async (text, values, name) => {
          if (name === 'records-write') writes += 1;
          return await db.database.query(text, values, name);
        },
      },
      secrets,
      runtime,
      environmentAt: createEnvironments(state.repository).one,
      clock: systemClock,
      log: silent,
      metrics: ours,
      concurrency: 4,
    });
    await until(async () => (await ours.reconcileSeconds.get()).values.some(({ value }) => value > 0));
    await until(() => runtime.state().complete);
    await until(isDone);
    await until(async () => (await isRolledOut(runtime)) && isWell(await status()));
    await controller.idle();
    const verbs = (await metrics.apiCalls.get()).values.filter(({ labels }) => labels.verb !== 'watch');
    return { reads, writes, calls: verbs.reduce((sum, { value }) => sum + value, 0) };
  };
  const stop = async () => {
    await controller?.stop();
    controller = undefined;
  };
  /** The rollout has ended, and the runtime has seen its end: what it knows now does not change by itself any more. */
  const isRolledOut = async (runtime: Runtime) => {
    await controller?.idle();
    const { metadata, status: now = {} } = await api(deploymentPath);
    const seen = runtime.observed(namespace).find((object) => object.key.kind === 'Deployment');
    return (
      now.observedGeneration === metadata?.generation &&
      now.readyReplicas === 1 &&
      now.replicas === 1 &&
      now.updatedReplicas === 1 &&
      seen?.resourceVersion === metadata.resourceVersion
    );
  };
  const status = async () =>
    (
      await db.database.query<{ phase: string; health: string; manifests: string | null }>(
        `select phase, health, origin->>'manifests' as manifests from project_status`,
      )
    ).rows[0];
  const isWell = (row: Awaited<ReturnType<typeof status>>) => row?.phase === 'applied' && row.health === 'healthy';
  const api = async (path: string) =>
    (await cluster().api('GET', path.replace('{ns}', `namespaces/${namespace}`))).body;

  test('reads no manifests, asks the cluster for nothing and writes nothing', async () => {
    expect(await startUntilApplied()).toEqual({ reads: 0, writes: 0, calls: 0 });
    await stop();
  });

  test('finds a foreign edit that was made meanwhile, and heals it', async () => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
    const edit = { spec: { revisionHistoryLimit: 7 } };
    await cluster().api('PATCH', `${path}?fieldManager=somebody`, edit, 'application/merge-patch+json');
    const isHealed = async () => (await api(deploymentPath)).spec.revisionHistoryLimit !== 7;
    expect((await startUntilApplied(isHealed)).reads).toBe(1);
    await stop();
    expect(await startUntilApplied()).toMatchObject({ reads: 0, calls: 0 });
    await stop();
  });

  test('finds a secret that was rotated meanwhile', async () => {
    await secrets.set(key, 'api-key', new Secret('two'), 'ada');
    const value = async () => {
      const { data } = await api('/api/v1/{ns}/secrets/api-key');
      return Buffer.from(String(Object.values(data)[0]), 'base64').toString();
    };
    expect((await startUntilApplied(async () => (await value()) === 'two')).reads).toBe(1);
    await stop();
    expect(await startUntilApplied()).toEqual({ reads: 0, writes: 0, calls: 0 });
    await stop();
  });

  test('reads everything anew where the environment lets other things in', async () => {
    await commitFiles({ [environmentFile('local')]: `${environment}\npodSecurity: baseline\n` });
    expect(await startUntilApplied()).toMatchObject({ reads: 1, calls: 0 });
    await stop();
    expect(await startUntilApplied()).toEqual({ reads: 0, writes: 0, calls: 0 });
    await stop();
  });

  test('finds what Git brought meanwhile', async () => {
    await publish('2');
    const newest = await state.repository.blobId((await state.repository.tip()) ?? '', manifestsFile(key));
    const isThere = async () => (await status())?.manifests === newest;
    expect((await startUntilApplied(isThere)).reads).toBe(1);
    const [container] = (await api(deploymentPath)).spec.template.spec.containers;
    expect(container.image).toBe('nginx:2');
  });

  test('a wake asks for versions, and reads no manifests again', async () => {
    await startUntilApplied();
    controller?.wakeAll();
    await controller?.idle();
    expect(reads).toBe(0);
    await secrets.set(key, 'api-key', new Secret('three'), 'ada');
    controller?.wakeAll();
    await controller?.idle();
    expect(reads).toBe(1);
  });
});
