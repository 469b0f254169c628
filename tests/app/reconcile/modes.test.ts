import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { eventually } from '#support/walk.ts';
import { configMap } from '../runtime/start-runtime.ts';
import { describeStand, type Stand } from './stand.ts';

const mergeType = 'application/merge-patch+json';
const mapPath = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/configmaps/${name}`;
const dataOf = async (stand: Stand, namespace: string, name: string) =>
  (await stand.cluster.api('GET', mapPath(namespace, name))).body.data;
const edit = (stand: Stand, namespace: string, name: string, data: object, manager = 'kubectl-edit') =>
  stand.cluster.api('PATCH', `${mapPath(namespace, name)}?fieldManager=${manager}`, { data }, mergeType);

describeStand('what may be done', (stand) => {
  test.concurrent('warn: foreign edits stand and are told, with who wrote what; commits are applied', async ({
    expect,
  }) => {
    const project = stand.project();
    const { namespace } = project;
    const mode = { 'plinth.dev/mode': 'warn' };
    const because = 'reconcile.mode of the project is warn';
    await project.write([configMap(namespace, 'one', { a: '1', b: '1' }), configMap(namespace, 'two', {})], mode);
    await project.applied();
    await edit(stand, namespace, 'one', { a: 'theirs', c: 'theirs' });
    const drifted = await project.until(({ reasons }) => reasons.length > 0);
    expect(drifted).toMatchObject({ phase: 'applied', health: 'healthy', problem: undefined });
    const reason = `was changed by kubectl-edit (.data.a) and is left so: ${because}`;
    expect(drifted.reasons).toEqual([{ object: 'ConfigMap/one', state: 'drift', reason }]);
    const object = `v1 ConfigMap ${namespace}/one`;
    expect(await project.reports()).toMatchObject([
      {
        kind: 'drift',
        object,
        message: `${object} ${reason}.`,
        managers: [{ manager: 'kubectl-edit', fields: ['.data.a'] }],
      },
    ]);
    await stand.cluster.api('DELETE', mapPath(namespace, 'two'));
    await project.until(({ reasons }) =>
      reasons.some((one) => one.reason === `was deleted by others and is not made anew: ${because}`),
    );
    await project.write([configMap(namespace, 'one', { a: '1', b: '1' }), configMap(namespace, 'new', {})], mode);
    await eventually(
      () => dataOf(stand, namespace, 'one'),
      (data) => data.a === 'theirs',
    );
    await project.until(({ phase, reasons }) => phase === 'applied' && reasons.length === 1);
    // Healing is on again: what stood is undone.
    await project.write([configMap(namespace, 'one', { a: '1', b: '1' }), configMap(namespace, 'new', {})]);
    await eventually(
      () => dataOf(stand, namespace, 'one'),
      (data) => data.a === '1',
    );
    expect((await project.applied()).reasons).toEqual([]);
    expect(await dataOf(stand, namespace, 'one')).toEqual({ a: '1', b: '1', c: 'theirs' });
  });

  test.concurrent('detect: nothing is written, every difference is told', async ({ expect }) => {
    const project = stand.project();
    const { namespace } = project;
    await project.write([configMap(namespace, 'one', { a: '1' }), configMap(namespace, 'old', {})]);
    await project.applied();
    const space = (await stand.cluster.api('GET', `/api/v1/namespaces/${namespace}`)).body;
    const mode = { 'plinth.dev/mode': 'detect' };
    await project.write([configMap(namespace, 'one', { a: '2' }), configMap(namespace, 'new', {})], mode);
    const because = 'reconcile.mode of the project is detect';
    const held = await project.until(({ phase }) => phase === 'held');
    expect(held.problem).toMatchObject({
      code: 'NOT_ALLOWED_NOW',
      detail: `This is not allowed at the moment: ${because}.`,
    });
    expect(
      held.reasons.filter(({ state }) => state === 'withheld').map(({ object, reason }) => `${object} ${reason}`),
    ).toEqual([
      `Namespace/${namespace} is not changed yet: ${because}`,
      `ConfigMap/new is not made yet: ${because}`,
      `ConfigMap/one is not changed yet: ${because}`,
      `ConfigMap/old has left Git and is not deleted yet: ${because}`,
    ]);
    expect(await dataOf(stand, namespace, 'one')).toEqual({ a: '1' });
    expect((await stand.cluster.api('GET', mapPath(namespace, 'new'))).status).toBe(404);
    expect((await stand.cluster.api('GET', mapPath(namespace, 'old'))).status).toBe(200);
    expect((await stand.cluster.api('GET', `/api/v1/namespaces/${namespace}`)).body).toEqual(space);
  });

  test.concurrent('a switch: what it turns off waits with its reason, and goes on when it is on again', async ({
    expect,
  }) => {
    const project = stand.project();
    const { namespace } = project;
    const of = (a: string, ...names: string[]) => [
      configMap(namespace, 'one', { a }),
      ...names.map((name) => configMap(namespace, name, {})),
    ];
    await project.write(of('1', 'old'));
    await project.applied();
    await project.switch('prune', 'looking at it');
    await project.write(of('2'));
    const kept = await project.applied();
    expect(kept.reasons).toEqual([
      {
        object: 'ConfigMap/old',
        state: 'withheld',
        reason: 'has left Git and is not deleted yet: ann switched it off: looking at it',
      },
    ]);
    expect((await stand.cluster.api('GET', mapPath(namespace, 'old'))).status).toBe(200);
    await project.switch('apply', 'a freeze');
    await project.write(of('3'));
    const frozen = await project.until(({ phase }) => phase === 'held');
    expect(frozen.problem?.detail).toBe('This is not allowed at the moment: ann switched it off: a freeze.');
    expect(await dataOf(stand, namespace, 'one')).toEqual({ a: '2' });
    // Heals go on: an edit of what stands unchanged in Git is undone.
    await stand.cluster.api(
      'PATCH',
      `/api/v1/namespaces/${namespace}`,
      { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } },
      mergeType,
    );
    await eventually(
      async () => (await stand.cluster.api('GET', `/api/v1/namespaces/${namespace}`)).body.metadata.labels,
      (labels) => labels['pod-security.kubernetes.io/enforce'] === 'restricted',
    );
    await project.switch('apply', null);
    await project.switch('prune', null);
    await project.applied();
    expect(await dataOf(stand, namespace, 'one')).toEqual({ a: '3' });
    await eventually(
      async () => (await stand.cluster.api('GET', mapPath(namespace, 'old'))).status,
      (status) => status === 404,
    );
  });

  test.concurrent('a project waits for the one that it depends on, and is woken by it', async ({ expect }) => {
    const [first, second] = [stand.project(), stand.project()];
    const name = `${first.key.team}/${first.key.project}`;
    await second.write([configMap(second.namespace, 'one', {})], { 'plinth.dev/depends-on-projects': name });
    const waits = await second.until(({ phase }) => phase === 'waiting');
    expect(waits.problem).toMatchObject({
      code: 'DEPENDENCY_NOT_READY',
      detail: `The project waits until ${name} is applied and healthy.`,
    });
    expect((await stand.cluster.api('GET', `/api/v1/namespaces/${second.namespace}`)).status).toBe(404);
    await first.write([configMap(first.namespace, 'one', {})]);
    await second.applied();
  });

  test.concurrent('what the API server refuses is not sent again before something changes; tries are counted', async ({
    expect,
  }) => {
    const project = stand.project();
    const { namespace } = project;
    const calls = async (during: () => Promise<unknown>) =>
      ((await stand.cluster.auditLog?.during(during)) ?? []).filter(
        ({ verb, namespace: space, resource, userAgent }) =>
          verb === 'patch' && space === namespace && resource === 'configmaps' && userAgent === 'plinth',
      ).length;
    const bad = configMap(namespace, 'one', { 'not a key': '1' });
    expect(
      await calls(async () => {
        await project.write([bad]);
        const failed = await project.until(({ phase }) => phase === 'failed');
        expect(failed).toMatchObject({ problem: { code: 'OBJECT_REFUSED' }, attempts: 1, retryAt: undefined });
      }),
    ).toBe(1);
    // An event in the namespace brings a run, and no request for what was refused.
    expect(
      await calls(async () => {
        await project.write([bad, configMap(namespace, 'two', {})]);
        await eventually(
          async () => (await stand.cluster.api('GET', mapPath(namespace, 'two'))).status,
          (code) => code === 200,
        );
        await stand.cluster.api('DELETE', mapPath(namespace, 'two'));
        await eventually(
          async () => (await stand.cluster.api('GET', mapPath(namespace, 'two'))).status,
          (code) => code === 200,
        );
      }),
    ).toBe(2);
    expect(await project.status()).toMatchObject({ phase: 'failed', attempts: 1 });
    // A person who asks has it tried again.
    expect(
      await calls(async () => {
        project.wake();
        await project.until(({ attempts }) => attempts === 2);
      }),
    ).toBe(1);
    await project.write([configMap(namespace, 'one', { a: '1' })]);
    expect((await project.applied()).attempts).toBeUndefined();
  });
});

const speed = 20;
/** The controller's time runs faster, so that a test need not wait for a fight to end. */
const fast: Clock = {
  now: () => systemClock.now(),
  monotonicMs: () => systemClock.monotonicMs() * speed,
  sleep: (ms, signal) => systemClock.sleep(ms / speed, signal),
};

describeStand(
  'a controller that rewrites for ever',
  (stand) => {
    test('costs a few requests a minute, is named, and hinders nobody; it is over when it stops', async () => {
      const [project, other] = [stand.project(), stand.project()];
      const { namespace } = project;
      await project.write([configMap(namespace, 'one', { a: '1' }), configMap(namespace, 'two', { a: '1' })]);
      await other.write([configMap(other.namespace, 'one', { a: '1' })]);
      await Promise.all([project.applied(), other.applied()]);
      const fighting = new AbortController();
      onTestFinished(() => fighting.abort());
      const fight = (async () => {
        while (!fighting.signal.aborted) {
          await edit(stand, namespace, 'one', { a: 'theirs' }, 'rival');
          await sleep(10);
        }
      })();
      const told = await project.until(({ reasons }) => reasons.some(({ state }) => state === 'fight'));
      expect(told.reasons[0]).toEqual({
        object: 'ConfigMap/one',
        state: 'fight',
        reason: 'is rewritten again and again by rival (.data.a)',
      });
      const entries =
        (await stand.cluster.auditLog?.during(async () => {
          // Two of the controller's minutes.
          await sleep(120_000 / speed);
          for (const [space, name] of [
            [namespace, 'two'],
            [other.namespace, 'one'],
          ] as const) {
            await edit(stand, space, name, { a: 'theirs' });
            await eventually(
              () => dataOf(stand, space, name),
              (data) => data.a === '1',
            );
          }
        })) ?? [];
      const patches = entries.filter(
        (entry) =>
          entry.verb === 'patch' &&
          entry.userAgent === 'plinth' &&
          entry.namespace === namespace &&
          entry.name === 'one',
      ).length;
      expect(patches).toBeGreaterThan(0);
      expect(patches).toBeLessThanOrEqual(14);
      fighting.abort();
      await fight;
      const over = await project.until(({ reasons }) => reasons.length === 0);
      expect(over).toMatchObject({ phase: 'applied', health: 'healthy' });
      expect(await dataOf(stand, namespace, 'one')).toEqual({ a: '1' });
      const object = `v1 ConfigMap ${namespace}/one`;
      expect((await project.reports()).filter(({ kind }) => kind === 'fight')).toMatchObject([
        { object, managers: [{ manager: 'rival', fields: ['.data.a'] }] },
      ]);
    });
  },
  { clock: fast },
);
