import type { Health, HealthState } from '../runtime.ts';
import { at, type Condition, conditionsOf, type Fields, fieldsOf, listOf, numberOf, textOf } from './fields.ts';

/** StorageClass → its volumeBindingMode. */
export type BindingModes = ReadonlyMap<string, string>;

const healthy: Health = Object.freeze({ state: 'healthy', reason: '' });
const say = (state: HealthState, reason: string): Health => ({ state, reason });

/** The parts of an object that health is read from. */
interface Look {
  readonly metadata: Fields;
  readonly spec: Fields;
  readonly status: Fields;
  readonly conditions: readonly Condition[];
  readonly bindingModes: BindingModes;
}

/**
 * The health of one live object, from itself alone: pure, total, no clock. Union of the rules of Argo CD and kstatus
 * (reference/gitops.md, section 1.2); where they differ:
 *   - a claim that waits for its first consumer by its class's design is healthy: waiting for it would deadlock;
 *   - an Ingress is healthy once accepted: many controllers never report an address, so one that is missing is only said;
 *   - a Job is healthy when complete, for it may gate others; a CronJob tells of its last run.
 * A state other than healthy always has a reason and, where there is one, the next step.
 */
export function healthOf(kind: string, object: unknown, bindingModes: BindingModes = new Map()): Health {
  const status = fieldsOf(at(object, 'status'));
  const look: Look = {
    metadata: fieldsOf(at(object, 'metadata')),
    spec: fieldsOf(at(object, 'spec')),
    status,
    conditions: conditionsOf(status),
    bindingModes,
  };
  if (look.metadata.deletionTimestamp !== undefined) return say('progressing', deleting(look));
  if (isUnseen(look)) return say('progressing', 'its controller has not seen the newest version yet');
  return (rules[kind] ?? generic)(look);
}

const rules: Readonly<Record<string, (look: Look) => Health>> = {
  Namespace: namespace,
  Deployment: deployment,
  StatefulSet: statefulSet,
  DaemonSet: daemonSet,
  Job: job,
  CronJob: cronJob,
  Pod: pod,
  PersistentVolumeClaim: claim,
  Service: serviceHealth,
  Ingress: ingress,
  HTTPRoute: httpRoute,
  HorizontalPodAutoscaler: autoscaler,
  ResourceQuota: () => healthy,
  LimitRange: () => healthy,
  ServiceAccount: () => healthy,
  NetworkPolicy: () => healthy,
  Secret: () => healthy,
  ConfigMap: () => healthy,
  PodDisruptionBudget: () => healthy,
};

function deleting({ metadata, conditions }: Look): string {
  const held = conditions.find(({ type, status }) => type.endsWith('Remaining') && status === 'True');
  const finalizers = listOf(metadata.finalizers).map(textOf);
  if (held !== undefined) return `is being deleted: ${held.message}`;
  return finalizers.length === 0 ? 'is being deleted' : `is being deleted; waits for ${finalizers.join(', ')}`;
}

function isUnseen({ metadata, status }: Look): boolean {
  const seen = status.observedGeneration;
  return typeof seen === 'number' && typeof metadata.generation === 'number' && seen < metadata.generation;
}

/** Controllers that fill these fields have not looked at all while there is no observedGeneration. */
const untouched = ({ status }: Look) => status.observedGeneration === undefined;

const find = (look: Look, type: string) => look.conditions.find((condition) => condition.type === type);
const holds = (look: Look, type: string, status: 'True' | 'False') => {
  const condition = find(look, type);
  return condition?.status === status ? condition : undefined;
};
const because = ({ reason, message }: Condition) => message || reason;

/** `1 of 3 replicas are up to date`. */
const some = (have: number, want: number, what: string) => say('progressing', `${have} of ${want} replicas ${what}`);

function namespace({ status }: Look): Health {
  return status.phase === 'Terminating' ? say('progressing', 'is being deleted') : healthy;
}

function deployment(look: Look): Health {
  const { spec, status } = look;
  const want = numberOf(spec.replicas, 1);
  const failure = holds(look, 'ReplicaFailure', 'True');
  if (failure !== undefined) return say('degraded', `pods cannot be made: ${because(failure)}`);
  if (find(look, 'Progressing')?.reason === 'ProgressDeadlineExceeded')
    return say(
      'degraded',
      `the new version did not become ready within ${numberOf(spec.progressDeadlineSeconds, 600)} s`,
    );
  if (spec.paused === true) return say('suspended', 'its rollout is paused; set spec.paused to false');
  if (untouched(look)) return say('progressing', 'its controller has not seen it yet');
  const updated = numberOf(status.updatedReplicas);
  const available = numberOf(status.availableReplicas);
  const all = numberOf(status.replicas);
  if (updated < want) return some(updated, want, 'are of the new version');
  if (all > updated) return say('progressing', `${all - updated} replicas of the old version are ending`);
  if (available < want) return some(available, want, 'are available');
  return healthy;
}

function statefulSet(look: Look): Health {
  const { spec, status } = look;
  const want = numberOf(spec.replicas, 1);
  if (untouched(look)) return say('progressing', 'its controller has not seen it yet');
  const made = numberOf(status.replicas);
  if (made < want)
    return say(
      'progressing',
      `${made} of ${want} replicas exist; if it stays so, look at the quota and Pod Security level`,
    );
  const ready = numberOf(status.readyReplicas);
  if (ready < want) return some(ready, want, 'are ready');
  if (at(spec, 'updateStrategy', 'type') === 'OnDelete') return healthy;
  const partition = numberOf(at(spec, 'updateStrategy', 'rollingUpdate', 'partition'));
  const updated = numberOf(status.updatedReplicas);
  if (updated < want - partition) return some(updated, want - partition, 'are of the new version');
  if (partition === 0 && status.updateRevision !== status.currentRevision)
    return say('progressing', 'the last replicas of the old version are being replaced');
  return healthy;
}

function daemonSet(look: Look): Health {
  const { spec, status } = look;
  if (untouched(look)) return say('progressing', 'its controller has not seen it yet');
  if (at(spec, 'updateStrategy', 'type') === 'OnDelete') return healthy;
  const want = numberOf(status.desiredNumberScheduled);
  const updated = numberOf(status.updatedNumberScheduled);
  if (updated < want) return some(updated, want, 'are of the new version');
  const available = numberOf(status.numberAvailable);
  return available < want ? some(available, want, 'are available') : healthy;
}

function job(look: Look): Health {
  const { spec, status } = look;
  const failed = holds(look, 'Failed', 'True');
  if (failed !== undefined) return say('degraded', `failed: ${because(failed)}`);
  if (holds(look, 'Complete', 'True') !== undefined) return healthy;
  if (spec.suspend === true) return say('suspended', 'is suspended; set spec.suspend to false');
  const failures = numberOf(status.failed);
  const tries = failures === 0 ? '' : `; ${failures} of ${numberOf(spec.backoffLimit, 6) + 1} tries failed`;
  return say('progressing', `${numberOf(status.succeeded)} of ${numberOf(spec.completions, 1)} completions${tries}`);
}

function cronJob({ spec, status }: Look): Health {
  if (spec.suspend === true) return say('suspended', 'is suspended; set spec.suspend to false');
  const started = textOf(status.lastScheduleTime);
  const succeeded = textOf(status.lastSuccessfulTime);
  // Times are RFC 3339 in UTC with whole seconds: their text order is their order.
  if (started !== '' && listOf(status.active).length === 0 && succeeded < started)
    return say(
      'degraded',
      `its last run, of ${started}, did not succeed${succeeded === '' ? '' : `; the last that did ended ${succeeded}`}`,
    );
  return healthy;
}

function pod({ status, conditions }: Look): Health {
  if (status.phase === 'Succeeded') return healthy;
  if (status.phase === 'Failed')
    return say('degraded', `failed: ${textOf(status.message) || textOf(status.reason) || 'see its log'}`);
  const ready = conditions.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' ? healthy : say('progressing', ready?.message || 'is not ready yet');
}

function claim({ spec, status, metadata, bindingModes }: Look): Health {
  if (status.phase === 'Bound') return healthy;
  if (status.phase === 'Lost')
    return say('degraded', `its volume ${textOf(spec.volumeName)} is lost; restore it from a snapshot`);
  const storageClass = textOf(spec.storageClassName);
  if (storageClass === '')
    return say(
      'progressing',
      'it names no storage class and the cluster has no default one; set storage.class in environment.yaml',
    );
  const consumer = at(metadata, 'annotations', 'volume.kubernetes.io/selected-node');
  if (bindingModes.get(storageClass) === 'WaitForFirstConsumer' && consumer === undefined)
    return say('healthy', `storage class ${storageClass} makes the volume when the first pod uses it`);
  if (bindingModes.size > 0 && !bindingModes.has(storageClass))
    return say('progressing', `storage class ${storageClass} does not exist in this cluster`);
  return say('progressing', `storage class ${storageClass} is making the volume`);
}

function serviceHealth({ spec, status }: Look): Health {
  if (spec.type !== 'LoadBalancer') return healthy;
  const addresses = listOf(at(status, 'loadBalancer', 'ingress'));
  return addresses.length > 0 ? healthy : say('progressing', 'waits for an address from the load balancer');
}

function ingress({ spec, status }: Look): Health {
  if (listOf(at(status, 'loadBalancer', 'ingress')).length > 0) return healthy;
  const name = textOf(spec.ingressClassName);
  return say(
    'healthy',
    name === '' ? 'no controller has reported an address' : `ingress class ${name} has reported no address`,
  );
}

function httpRoute({ status, metadata }: Look): Health {
  const parents = listOf(status.parents);
  if (parents.length === 0)
    return say('progressing', 'no gateway has taken it yet; check ingress.gateway in environment.yaml');
  for (const parent of parents) {
    const name = textOf(at(parent, 'parentRef', 'name'));
    const seen = listOf(at(parent, 'conditions')).map((entry) => numberOf(at(entry, 'observedGeneration')));
    if (seen.some((generation) => generation !== 0 && generation < numberOf(metadata.generation)))
      return say('progressing', `gateway ${name} has not seen the newest version yet`);
    for (const { type, status: value, reason, message } of conditionsOf(parent))
      if ((type === 'Accepted' || type === 'ResolvedRefs') && value === 'False')
        return say('degraded', `gateway ${name} refuses it: ${message || reason}`);
  }
  return healthy;
}

function autoscaler(look: Look): Health {
  const unable = holds(look, 'AbleToScale', 'False');
  if (unable !== undefined) return say('degraded', `cannot scale: ${because(unable)}`);
  const inactive = holds(look, 'ScalingActive', 'False');
  if (inactive?.reason === 'ScalingDisabled') return say('suspended', 'its target is scaled to zero');
  if (inactive !== undefined)
    return say(
      'degraded',
      `cannot read what it scales by: ${because(inactive)}. Is metrics-server installed in the cluster?`,
    );
  return look.conditions.length === 0 ? say('progressing', 'its controller has not looked at it yet') : healthy;
}

/** Kinds without a rule: the conventions that most controllers keep. */
function generic(look: Look): Health {
  const stalled = holds(look, 'Stalled', 'True');
  if (stalled !== undefined) return say('degraded', because(stalled));
  const working = holds(look, 'Reconciling', 'True') ?? holds(look, 'Ready', 'False');
  return working === undefined ? healthy : say('progressing', because(working));
}
