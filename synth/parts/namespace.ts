import { k8s } from 'cdk8s-plus-28';
import type { Environment } from '#environments/schema.ts';
import type { Plan } from '../plan.ts';
import { labelsOf, metadataOf, quantity, type Scope, serviceAccountName } from './scope.ts';

/** The namespace with its Pod Security level, what it may use in all, and what a container gets that says nothing. */
export function addNamespace({ chart, plan }: Scope): void {
  const { environment, key, namespace, podSecurity } = plan;
  const { resources } = environment;
  new k8s.KubeNamespace(chart, 'namespace', {
    metadata: {
      name: namespace,
      labels: {
        ...labelsOf(plan, key.project),
        'pod-security.kubernetes.io/enforce': podSecurity,
        'pod-security.kubernetes.io/enforce-version': 'latest',
      },
      ...annotationsOf(plan),
    },
  });
  const hard = Object.entries(quotaOf(environment)).map(([name, amount]) => [name, quantity(amount)]);
  new k8s.KubeResourceQuota(chart, 'quota', {
    metadata: metadataOf(plan, 'project', key.project),
    spec: { hard: Object.fromEntries(hard) },
  });
  new k8s.KubeLimitRange(chart, 'limits', {
    metadata: metadataOf(plan, 'project', key.project),
    spec: {
      limits: [
        {
          type: 'Container',
          default: { cpu: quantity(resources.cpuLimit), memory: quantity(resources.memoryLimit) },
          defaultRequest: { cpu: quantity(resources.cpu), memory: quantity(resources.memory) },
        },
      ],
    },
  });
  new k8s.KubeServiceAccount(chart, 'account', {
    metadata: metadataOf(plan, serviceAccountName, key.project),
    automountServiceAccountToken: false,
  });
}

/** What reconcile reads beside the objects; a project that says none of it has the bytes it always had. */
function annotationsOf({ dependsOnProjects, mode, adopt }: Plan): { readonly annotations?: Record<string, string> } {
  const annotations = {
    ...(dependsOnProjects.length === 0 ? {} : { 'plinth.dev/depends-on-projects': dependsOnProjects.join(',') }),
    ...(mode === undefined ? {} : { 'plinth.dev/mode': mode }),
    ...(adopt ? { 'plinth.dev/policy': 'adopt' } : {}),
  };
  return Object.keys(annotations).length === 0 ? {} : { annotations };
}

/** What a project may use in all. */
export const quotaOf = ({ quota }: Environment): Record<string, string> => ({
  'limits.cpu': quota.cpu,
  'limits.memory': quota.memory,
  persistentvolumeclaims: String(quota.volumes),
  pods: String(quota.pods),
  'requests.storage': quota.storage,
  // Either would open a way in beside the edge.
  'services.loadbalancers': '0',
  'services.nodeports': '0',
});
