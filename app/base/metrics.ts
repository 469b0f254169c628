import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { createReadGauge } from './read-gauge.ts';

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** For what a person waits for. */
const minutes = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600];

/** Every metric of the control plane, said once: rooms are handed this object and add to it. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    ...publishMetrics(registers),
    ...runMetrics(registers),
    ...clusterMetrics(registers),
    ...tellingMetrics(registers),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;

/** Requests, changes and what comes from Git. */
function publishMetrics(registers: Registry[]) {
  return {
    httpRequests: new Histogram({
      name: 'plinth_http_request_seconds',
      help: 'Time of API requests by route and status.',
      labelNames: ['route', 'status'],
      buckets: seconds,
      registers,
    }),
    changes: new Counter({
      name: 'plinth_changes_total',
      help: 'Changes by how they ended.',
      labelNames: ['state'],
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'plinth_commit_seconds',
      help: 'Time of one group commit.',
      buckets: seconds,
      registers,
    }),
    gitSeconds: new Histogram({
      name: 'plinth_git_seconds',
      help: 'Time of one exchange with a remote state repository: fetch (and the look whether there is something), push.',
      labelNames: ['operation', 'outcome'],
      buckets: seconds,
      registers,
    }),
    webhooks: new Counter({
      name: 'plinth_git_webhooks_total',
      help: 'Webhooks of Git hosts by what they were: push, ping, pull-request, other, refused, malformed.',
      labelNames: ['provider', 'outcome'],
      registers,
    }),
  };
}

/** Runs of reconcile: how many wait, for how long, what came of them. */
function runMetrics(registers: Registry[]) {
  return {
    reconcileSeconds: new Histogram({
      name: 'plinth_reconcile_seconds',
      help: 'Time of one reconcile of one project by outcome.',
      labelNames: ['environment', 'outcome'],
      buckets: seconds,
      registers,
    }),
    reconcileLag: new Histogram({
      name: 'plinth_reconcile_lag_seconds',
      help: 'From the commit that touched a project until all of it was applied.',
      labelNames: ['environment'],
      buckets: minutes,
      registers,
    }),
    queue: new Gauge({
      name: 'plinth_reconcile_queue',
      help: 'Projects that wait for a reconcile.',
      labelNames: ['environment'],
      registers,
    }),
    queueAge: createReadGauge({
      name: 'plinth_reconcile_queue_age_seconds',
      help: 'For how long the project that waits longest waits for its run.',
      labelNames: ['environment'],
      registers,
    }),
    leases: createReadGauge({
      name: 'plinth_leases',
      help: 'Parts of the work that this replica holds; sum over replicas.',
      labelNames: [],
      registers,
    }),
    drift: new Counter({
      name: 'plinth_drift_total',
      help: 'Foreign edits and deletions: healed, or found and left.',
      labelNames: ['environment', 'kind', 'outcome'],
      registers,
    }),
    pruneRefusals: new Counter({
      name: 'plinth_prune_refusals_total',
      help: 'Deletions that were stopped until a person confirms them.',
      labelNames: ['environment'],
      registers,
    }),
  };
}

/** What stands in clusters, and the requests to their API servers. */
function clusterMetrics(registers: Registry[]) {
  return {
    projects: createReadGauge({
      name: 'plinth_projects',
      help: 'Projects that this replica reconciles by phase and health; sum over replicas.',
      labelNames: ['environment', 'phase', 'health'],
      registers,
    }),
    objects: createReadGauge({
      name: 'plinth_objects',
      help: 'Objects of the projects that this replica reconciles by kind and health; sum over replicas.',
      labelNames: ['environment', 'kind', 'health'],
      registers,
    }),
    apiCalls: new Counter({
      name: 'plinth_kubernetes_requests_total',
      help: 'Requests to Kubernetes API servers by verb and status.',
      labelNames: ['cluster', 'verb', 'status'],
      registers,
    }),
    applySeconds: new Histogram({
      name: 'plinth_apply_seconds',
      help: 'Time of applying one object, with what had to be asked for it.',
      labelNames: ['cluster', 'outcome'],
      buckets: seconds,
      registers,
    }),
  };
}

/** What others are told. */
function tellingMetrics(registers: Registry[]) {
  return {
    deliveries: new Counter({
      name: 'plinth_deliveries_total',
      help: 'Notifications by kind and what came of each try.',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    commitStatuses: new Counter({
      name: 'plinth_commit_statuses_total',
      help: 'Commit statuses sent to the Git host by state, and tries that were refused or found it unavailable.',
      labelNames: ['outcome'],
      registers,
    }),
  };
}
