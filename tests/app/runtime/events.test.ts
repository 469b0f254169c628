import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Runtime, Telling } from '#runtime/runtime.ts';
import { describeWithCluster } from '#support/cluster.ts';
import { startApiProxy } from './api-proxy.ts';
import {
  clusterOf,
  createRuntime,
  namespaceObject,
  newNamespace,
  startRuntime,
  type Watched,
} from './start-runtime.ts';

interface KubernetesEvent {
  readonly metadata: { readonly name: string };
  readonly involvedObject: Readonly<Record<string, string>>;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly source: { readonly component: string };
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
}

describeWithCluster('events', (cluster) => {
  let ours: Watched;
  beforeAll(async () => {
    ours = await startRuntime(await clusterOf(cluster().kubeconfig));
  });
  afterAll(async () => {
    await ours?.runtime.stop();
  });

  async function eventsOf(namespace: string): Promise<readonly KubernetesEvent[]> {
    const { body } = await cluster().api('GET', `/api/v1/namespaces/${namespace}/events`);
    const items = (body as { items: KubernetesEvent[] }).items; // the API server lists events so
    return items.filter(({ source }) => source.component === 'plinth');
  }

  async function emptyNamespace(): Promise<string> {
    const name = newNamespace();
    await ours.runtime.apply(namespaceObject(name));
    return name;
  }

  const degraded = (namespace: string, message = 'Deployment/web is degraded'): Telling => ({
    namespace,
    type: 'Warning',
    reason: 'Degraded',
    message,
  });
  const tellTimes = async (runtime: Runtime, telling: Telling, times: number) => {
    for (let i = 0; i < times; i++) await runtime.tell(telling);
  };

  test('stand in the namespace and are about it', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.tell(degraded(namespace));
    const uid = ours.find(namespace, 'Namespace', namespace)?.uid;
    expect(await eventsOf(namespace)).toMatchObject([
      {
        involvedObject: { apiVersion: 'v1', kind: 'Namespace', name: namespace, namespace, uid },
        type: 'Warning',
        reason: 'Degraded',
        message: 'Deployment/web is degraded',
        count: 1,
        source: { component: 'plinth' },
      },
    ]);
  });

  test('the same again is counted, by another process too; something else is another event', async () => {
    const namespace = await emptyNamespace();
    await Promise.all([1, 2, 3].map(() => ours.runtime.tell(degraded(namespace))));
    const other = createRuntime(await clusterOf(cluster().kubeconfig), { installation: ours.installation });
    await tellTimes(other.runtime, degraded(namespace), 2);
    await other.runtime.stop();
    await ours.runtime.tell({ namespace, type: 'Normal', reason: 'Recovered', message: 'it is well again' });
    const events = await eventsOf(namespace);
    expect(events.map(({ reason, count }) => `${reason} ${count}`).sort()).toEqual(['Degraded 5', 'Recovered 1']);
  });

  test('one that says the same for ever is slowed down, and so is one that always says something else', async () => {
    const [same, other] = [await emptyNamespace(), await emptyNamespace()];
    const written = async () =>
      Object.entries(await ours.requests())
        .filter(([request]) => request.startsWith('event '))
        .reduce((sum, [, count]) => sum + count, 0);
    const before = await written();
    await tellTimes(ours.runtime, degraded(same), 200);
    for (let i = 0; i < 200; i++) await ours.runtime.tell(degraded(other, `failure ${i}`));
    expect((await written()) - before).toBe(40);
    expect((await eventsOf(same)).map(({ count }) => count)).toEqual([20]);
    expect(await eventsOf(other)).toHaveLength(20);
  });

  test('a long message is cut, and names with odd characters make names of events', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.tell({ namespace, type: 'Normal', reason: 'Needs_Confirmation', message: 'x'.repeat(5000) });
    const [event] = await eventsOf(namespace);
    expect(event?.metadata.name).toMatch(/^plinth-needs-confirmation\.[0-9a-f]{16}$/);
    expect(event?.message).toBe('x'.repeat(1024));
  });

  test('what cannot be written fails nobody', async () => {
    await ours.runtime.tell(degraded('not--there--at-all'));
    const proxy = await startApiProxy(await clusterOf(cluster().kubeconfig));
    const { runtime } = createRuntime(proxy.cluster);
    await proxy.stop();
    await runtime.tell(degraded(await emptyNamespace()));
    await runtime.stop();
  });
});
