import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import type { ControlPlane } from '#support/control-plane.ts';
import { endOf, eventually, projectPath } from '#support/walk.ts';
import { type Replica, useFleet } from './fleet.ts';
import { logLeases, writesWithoutLease } from './lease-log.ts';

const names = Array.from({ length: 12 }, (_, number) => `fleet/app-${String(number).padStart(2, '0')}`);
const spec = (version: number) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  containers: { web: { image: `nginx:v${version}`, port: 8080 } },
});
/** Convergence, also on a busy machine. */
const limitMs = 40_000;
const namespaceOf = (name: string) => `local--${name.replace('/', '--')}`;

describeWithCluster('several replicas', (cluster) => {
  const fleet = useFleet(cluster);
  const replica = (number: number) => fleet.replicas[number] as Replica; // the tests before have started it
  const putAll = async (plinth: ControlPlane, version: number) =>
    await Promise.all(names.map(async (name) => plinth.request('PUT', projectPath(name), spec(version))));
  const versionOf = async (name: string) => {
    const { body } = await fleet.cluster.api('GET', `/apis/apps/v1/namespaces/${namespaceOf(name)}/deployments/web`);
    return Number(body.spec?.template.spec.containers[0].image.slice('nginx:v'.length));
  };
  /** Grows with every change of what is wanted of it. */
  const generationOf = async (name: string) => {
    const { body } = await fleet.cluster.api('GET', `/apis/apps/v1/namespaces/${namespaceOf(name)}/deployments/web`);
    return body.metadata.generation as number; // the API server's
  };
  const allApplied = async (plinth: ControlPlane, version: number) => {
    for (const name of names) {
      await plinth.until(
        projectPath(name),
        (body) =>
          body.images[0]?.image === `nginx:v${version}` &&
          body.revision === body.appliedRevision &&
          body.phase === 'applied' &&
          body.health === 'healthy',
      );
      expect(await versionOf(name)).toBe(version);
    }
  };

  test('two share the projects and one writer; what one accepts the other knows', async () => {
    const first = await fleet.add();
    await fleet.settled(first);
    await logLeases(fleet.database);
    const second = await fleet.add();
    await fleet.settled(first, second);
    const held = await fleet.leases();
    expect(Object.values(held).flat().length).toBe(65);
    const changes = await putAll(second, 1);
    for (const change of changes) expect(await endOf(first, change)).toMatchObject({ state: 'committed' });
    await allApplied(first, 1);
    await allApplied(second, 1);
    for (const one of [first, second]) expect(one.writes.length).toBeGreaterThan(0);
  });

  test('a killed replica is taken over, whatever it was doing', async () => {
    const [first, second] = [replica(0), replica(1)];
    const before = first.writes.length;
    await putAll(second, 2);
    await eventually(
      async () => first.writes.length,
      (count) => count > before,
      limitMs,
    );
    await first.kill();
    await fleet.settled(second);
    await allApplied(second, 2);
  });

  test('a replica that comes gets its share, and one that is told to end gives it back at once', async () => {
    const second = replica(1);
    const third = await fleet.add();
    await fleet.settled(second, third);
    const stopping = third.stop();
    await fleet.settled(second);
    expect(await stopping).toBe(0);
    await putAll(second, 3);
    await allApplied(second, 3);
  });

  test('a frozen replica is taken over in mid-apply, and changes nothing when it wakes', async () => {
    const second = replica(1);
    const fourth = await fleet.add();
    await fleet.settled(second, fourth);
    const before = fourth.writes.length;
    await putAll(second, 4);
    await eventually(
      async () => fourth.writes.length,
      (count) => count > before,
      limitMs,
    );
    fourth.process.kill('SIGSTOP');
    await fleet.settled(second);
    const written = fourth.writes.length;
    const records = async () =>
      (await fleet.database.query(`select environment, team, project, revision, phase from project_status order by 3`))
        .rows;
    await putAll(second, 5);
    await allApplied(second, 5);
    const recorded = await records();
    const stood = await Promise.all(names.map(generationOf));
    fourth.process.kill('SIGCONT');
    let withoutMs = 0;
    const hasNothing = async () => {
      const atMs = performance.now();
      const nothing = !(fourth.id in (await fleet.leases()));
      if (nothing) withoutMs = atMs;
      return nothing;
    };
    await eventually(hasNothing, (nothing) => !nothing, limitMs);
    expect(fourth.writes.slice(written).filter(({ atMs }) => atMs < withoutMs)).toEqual([]);
    // With its new leases it may send what stands there already; nothing comes back that was before.
    await fleet.settled(second, fourth);
    await sleep(1_000);
    expect(await Promise.all(names.map(generationOf))).toEqual(stood);
    await eventually(records, (now) => isDeepStrictEqual(now, recorded), limitMs);
    for (const name of names) expect(await versionOf(name)).toBe(5);
    // And it is of use again.
    await putAll(fourth, 6);
    await allApplied(second, 6);
    expect(fourth.writes.length).toBeGreaterThan(written);
  });

  test('all that was written, each replica wrote while the lease of the project was its own', async () => {
    const entries = (await fleet.cluster.auditLog?.entries()) ?? [];
    const { writers, wrong } = await writesWithoutLease(fleet.database, entries);
    expect(wrong).toEqual([]);
    expect(writers).toEqual(expect.arrayContaining([replica(0), replica(1), replica(3)].map(({ id }) => id)));
  });
});
