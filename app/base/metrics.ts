import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Every metric of the control plane, said once: rooms are handed this object and add to it. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
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
    reconcileSeconds: new Histogram({
      name: 'plinth_reconcile_seconds',
      help: 'Time of one reconcile of one project by outcome.',
      labelNames: ['environment', 'outcome'],
      buckets: seconds,
      registers,
    }),
    apiCalls: new Counter({
      name: 'plinth_kubernetes_requests_total',
      help: 'Requests to Kubernetes API servers by verb and status.',
      labelNames: ['cluster', 'verb', 'status'],
      registers,
    }),
    drift: new Counter({
      name: 'plinth_drift_total',
      help: 'Foreign edits and deletions that were healed.',
      labelNames: ['environment', 'kind'],
      registers,
    }),
    queue: new Gauge({
      name: 'plinth_reconcile_queue',
      help: 'Projects that wait for a reconcile.',
      labelNames: ['environment'],
      registers,
    }),
    projects: new Gauge({
      name: 'plinth_projects',
      help: 'Projects by environment and health.',
      labelNames: ['environment', 'health'],
      registers,
    }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
