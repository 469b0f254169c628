import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import { containerLogFile } from '#scripts/cluster/nodes.ts';
import { describeWithCluster } from '#support/cluster.ts';
import {
  clusterOf,
  deployment,
  namespaceObject,
  newNamespace,
  podTemplate,
  startRuntime,
  until,
  type Watched,
} from './start-runtime.ts';

describeWithCluster('logs', (cluster) => {
  let ours: Watched;
  let namespace: string;
  beforeAll(async () => {
    ours = await startRuntime(await clusterOf(cluster().kubeconfig));
    namespace = newNamespace();
    await ours.runtime.apply(namespaceObject(namespace));
    await ours.runtime.apply(deployment(namespace, 'web'));
    await until(() => ours.find(namespace, 'Deployment', 'web')?.health.state === 'healthy');
  });
  afterAll(async () => {
    await ours?.runtime.stop();
  });

  const asked = (more: object = {}) => ({
    namespace,
    workload: 'web',
    container: 'main',
    follow: false,
    tailLines: 100,
    signal: new AbortController().signal,
    ...more,
  });

  /** Every container of the test cluster has this log. */
  const write = (words: string) =>
    appendFileSync(join(cluster().directory, containerLogFile), `${new Date().toISOString()} stdout F ${words}\n`);

  test('reads the log of a pod of a workload', async () => {
    const words = `ü ${namespace}`;
    write(words);
    expect((await text(await ours.runtime.logs(asked()))).split('\n')).toContain(words);
  });

  test('follows a log until it is told to stop', async () => {
    const stop = new AbortController();
    let seen = '';
    const reading = (async () => {
      for await (const piece of await ours.runtime.logs(asked({ follow: true, signal: stop.signal }))) {
        seen += Buffer.from(piece).toString();
        if (seen.includes(`second ${namespace}\n`)) stop.abort(new Error('enough'));
      }
    })();
    const ended = expect(reading).rejects.toThrow('enough');
    await until(() => seen !== '');
    write(`second ${namespace}`);
    await ended;
  });

  test.each([
    ['container', { container: 'none' }],
    ['workload', { workload: 'none' }],
  ])('a %s that does not exist is named', async (_, more) => {
    const [environment, team, project] = namespace.split('--');
    const error = await ours.runtime.logs(asked(more)).catch((reason: unknown) => reason);
    expect(Fault.is(error, 'CONTAINER_NOT_FOUND') && error.data).toEqual({
      environment,
      team,
      project,
      workload: 'web',
      container: 'main',
      why: 'no pod of it exists',
      ...more,
    });
  });

  test('a container whose pod has no node says so', async () => {
    const template = podTemplate('late', {}, { nodeSelector: { nowhere: 'yes' } });
    await ours.runtime.apply(deployment(namespace, 'late', {}, template));
    await until(() => ours.find(namespace, 'Deployment', 'late')?.health.reason.includes('no node takes the pod'));
    const error = await ours.runtime.logs(asked({ workload: 'late' })).catch((reason: unknown) => reason);
    expect(Fault.is(error, 'CONTAINER_NOT_FOUND') && error.data.why).toBe('its pod waits for a node');
  });
});
