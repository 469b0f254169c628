import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { type Cluster, findCluster } from '#runtime/kubernetes/connect.ts';
import { createKubernetesRuntime } from '#runtime/kubernetes/kubernetes.ts';
import type { KubernetesObject, LiveObject, Runtime, RuntimeState } from '#runtime/runtime.ts';
import { captureLog } from '#support/captured-log.ts';

/** A runtime on a test's cluster, with all that it told. */
export interface Watched {
  readonly runtime: Runtime;
  readonly installation: string;
  readonly changes: string[];
  readonly states: RuntimeState[];
  /** Requests so far by `verb status`. */
  requests(): Promise<Readonly<Record<string, number>>>;
  find(namespace: string, kind: string, name: string): LiveObject | undefined;
}

/** The cluster of a kubeconfig. */
export async function clusterOf(kubeconfig: string): Promise<Cluster> {
  const found = await findCluster({
    kubeconfig,
    dataDirectory: '/nonexistent',
    home: '/nonexistent',
    inCluster: { host: undefined, port: undefined, folder: '/nonexistent' },
    clock: systemClock,
  });
  if (found.kind !== 'cluster') throw new Error(`${found.kind}: ${found.advice}`);
  return found;
}

const newInstallation = () => `ins-${randomBytes(6).toString('hex')}`;

/** A namespace name that nothing else in the run uses. */
export const newNamespace = () => `local--team--${randomBytes(5).toString('hex')}`;

/** A runtime that does not watch (yet): it knows nothing but what it asks for. */
export function createRuntime(cluster: Pick<Cluster, 'name' | 'server' | 'credentials'>, options: RuntimeOptions = {}) {
  const { installation = newInstallation(), watchIdleMs } = options;
  const metrics = createMetrics();
  const { log } = captureLog();
  const runtime = createKubernetesRuntime({
    digestKey: new Secret(Buffer.from('a key of the tests')),
    cluster,
    installation,
    clock: systemClock,
    log,
    metrics,
    watchIdleMs,
  });
  return { runtime, installation, metrics };
}

export interface RuntimeOptions {
  readonly installation?: string;
  readonly watchIdleMs?: number;
}

/** Starts a runtime and waits until it has listed everything. */
export async function startRuntime(
  cluster: Pick<Cluster, 'name' | 'server' | 'credentials'>,
  options: RuntimeOptions = {},
): Promise<Watched> {
  const { runtime, installation, metrics } = createRuntime(cluster, options);
  const changes: string[] = [];
  const states: RuntimeState[] = [];
  runtime.start({ changed: (namespace) => changes.push(namespace), state: (state) => states.push(state) });
  await until(() => runtime.state().complete);
  return {
    runtime,
    installation,
    changes,
    states,
    requests: async () => {
      const { values } = await metrics.apiCalls.get();
      return Object.fromEntries(values.map(({ labels, value }) => [`${labels.verb} ${labels.status}`, value]));
    },
    find: (namespace, kind, name) =>
      runtime.observed(namespace).find((o) => o.key.kind === kind && o.key.name === name),
  };
}

/** Resolves when `test` gives something; the test's own time limit ends the wait. */
export async function until<T>(test: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await test();
    if (found !== undefined && found !== false) return found;
    await sleep(10);
  }
}

export const namespaceObject = (name: string): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
});

export const configMap = (namespace: string, name: string, data: Record<string, string>): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});

/** A pod template that passes Pod Security `restricted`; `annotations` tell the fake nodes how the pod behaves. */
export const podTemplate = (name: string, annotations: Record<string, string> = {}, more: object = {}) => ({
  metadata: { labels: { 'app.kubernetes.io/name': name }, annotations },
  spec: {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'main',
        image: 'example.test/app:1',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
    ...more,
  },
});

export const deployment = (
  namespace: string,
  name: string,
  spec: object = {},
  template: object = podTemplate(name),
): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace },
  spec: { selector: { matchLabels: { 'app.kubernetes.io/name': name } }, template, ...spec },
});
