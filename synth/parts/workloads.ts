import { k8s } from 'cdk8s-plus-28';
import type { Plan, PodPlan, WorkloadPlan } from '../plan.ts';
import { fileKey, filesName, podTemplate, spread } from './pod.ts';
import { metadataOf, type Scope, selectorOf, waitsFor } from './scope.ts';

/** For each container and service: what runs it, its address, its files, and how many copies there are. */
export function addWorkloads(scope: Scope): void {
  for (const workload of scope.plan.workloads) {
    if (workload.stateful) addStatefulSet(scope, workload);
    else addDeployment(scope, workload);
    addService(scope, workload);
    addFiles(scope, workload);
    addScaling(scope, workload);
  }
}

function addDeployment({ chart, plan }: Scope, workload: WorkloadPlan): void {
  const { name, autoscale, replicas } = workload;
  new k8s.KubeDeployment(chart, `deployment-${name}`, {
    metadata: metadataOf(plan, name, name, waitsFor(workload)),
    spec: {
      // Where an autoscaler counts, saying a number would take it back at each apply.
      replicas: autoscale === undefined ? replicas : undefined,
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorOf(plan, name) },
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: k8s.IntOrString.fromNumber(1), maxUnavailable: k8s.IntOrString.fromNumber(0) },
      },
      template: templateOf(plan, workload),
    },
  });
}

/** One copy on its volume: the next pod starts only when the one before is gone. */
function addStatefulSet({ chart, plan }: Scope, workload: WorkloadPlan): void {
  const { name, replicas } = workload;
  new k8s.KubeStatefulSet(chart, `stateful-set-${name}`, {
    metadata: metadataOf(plan, name, name, waitsFor(workload)),
    spec: {
      replicas: Math.min(replicas, 1),
      revisionHistoryLimit: 3,
      // OrderedReady would keep a broken pod for ever, even when a mended spec came.
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: selectorOf(plan, name) },
      serviceName: name,
      template: templateOf(plan, workload),
    },
  });
}

function templateOf(plan: Plan, workload: WorkloadPlan): k8s.PodTemplateSpec {
  const template = podTemplate(plan, workload);
  const copies = workload.autoscale?.max ?? workload.replicas;
  if (copies < 2 || template.spec === undefined) return template;
  return { ...template, spec: { ...template.spec, topologySpreadConstraints: spread(plan, workload.name) } };
}

function addService({ chart, plan }: Scope, { name, ports }: WorkloadPlan): void {
  if (ports.length === 0) return;
  new k8s.KubeService(chart, `service-${name}`, {
    metadata: metadataOf(plan, name, name),
    spec: {
      type: 'ClusterIP',
      selector: selectorOf(plan, name),
      ports: ports.map((port) => ({
        name: port.name,
        port: port.port,
        targetPort: k8s.IntOrString.fromString(port.name),
        protocol: 'TCP',
      })),
    },
  });
}

/** The ConfigMap with the texts of a container's or job's files. */
export function addFiles({ chart, plan }: Scope, { name, files }: PodPlan): void {
  const data = Object.fromEntries(
    files.flatMap((file, index) => ('text' in file ? [[fileKey(index), file.text] as const] : [])),
  );
  if (Object.keys(data).length === 0) return;
  new k8s.KubeConfigMap(chart, `files-${name}`, { metadata: metadataOf(plan, filesName(name), name), data });
}

/** The autoscaler, and a budget where there is more than one copy to keep. */
function addScaling({ chart, plan }: Scope, { name, autoscale, replicas }: WorkloadPlan): void {
  const metadata = metadataOf(plan, name, name);
  if (autoscale !== undefined) {
    const metrics = (['cpu', 'memory'] as const).flatMap((resource) => {
      const averageUtilization = autoscale[resource];
      if (averageUtilization === undefined) return [];
      return [{ type: 'Resource', resource: { name: resource, target: { type: 'Utilization', averageUtilization } } }];
    });
    new k8s.KubeHorizontalPodAutoscalerV2(chart, `autoscaler-${name}`, {
      metadata,
      spec: {
        minReplicas: autoscale.min,
        maxReplicas: autoscale.max,
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
        metrics,
      },
    });
  }
  if ((autoscale?.min ?? replicas) < 2) return;
  new k8s.KubePodDisruptionBudget(chart, `budget-${name}`, {
    metadata,
    spec: {
      maxUnavailable: k8s.IntOrString.fromNumber(1),
      selector: { matchLabels: selectorOf(plan, name) },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  });
}
