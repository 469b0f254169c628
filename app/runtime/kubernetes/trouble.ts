import type { Health } from '../runtime.ts';
import { at, conditionsOf, listOf, numberOf, textOf } from './fields.ts';

/** What is wrong with one pod. */
export interface Trouble {
  /** The objects whose health the pod tells about: its Deployment, StatefulSet, or Job and CronJob. */
  readonly owners: readonly { readonly kind: string; readonly name: string }[];
  readonly state: 'progressing' | 'degraded';
  readonly reason: string;
}

/** Reasons for which a container waits that do not go away by waiting. */
const lasting: ReadonlySet<string> = new Set([
  'CrashLoopBackOff',
  'ImagePullBackOff',
  'ErrImagePull',
  'ErrImageNeverPull',
  'InvalidImageName',
  'ImageInspectError',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
]);

/** Which workloads made the pod: a ReplicaSet's name is its Deployment's plus the template's hash. */
export function ownersOf(pod: unknown): Trouble['owners'] {
  const owner = listOf(at(pod, 'metadata', 'ownerReferences')).find((entry) => at(entry, 'controller') === true);
  const kind = textOf(at(owner, 'kind'));
  const name = textOf(at(owner, 'name'));
  if (kind === 'ReplicaSet') {
    const hash = textOf(at(pod, 'metadata', 'labels', 'pod-template-hash'));
    return [{ kind: 'Deployment', name: hash === '' ? name : name.slice(0, -hash.length - 1) }];
  }
  if (kind !== 'Job') return [{ kind, name }];
  // A CronJob's Jobs carry the minute of their schedule as a suffix.
  return [
    { kind, name },
    { kind: 'CronJob', name: name.replace(/-\d+$/, '') },
  ];
}

/** What keeps a pod from being well, in a sentence; undefined when nothing does. Pods on their way out have no say. */
export function troubleOf(pod: unknown): Trouble | undefined {
  if (at(pod, 'metadata', 'deletionTimestamp') !== undefined) return undefined;
  const failed = at(pod, 'status', 'phase') === 'Failed';
  // Of a run that ended badly its Job tells; a CronJob goes by its newest run, not by what old ones left behind.
  const owners = ownersOf(pod).filter(({ kind }) => !failed || kind !== 'CronJob');
  const statuses = [
    ...listOf(at(pod, 'status', 'initContainerStatuses')),
    ...listOf(at(pod, 'status', 'containerStatuses')),
  ];
  for (const status of statuses) {
    const reason = containerTrouble(status, failed);
    if (reason !== undefined) return { owners, state: 'degraded', reason };
  }
  const scheduled = conditionsOf(at(pod, 'status')).find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable')
    return { owners, state: 'progressing', reason: `no node takes the pod: ${scheduled.message}` };
  return undefined;
}

function containerTrouble(status: unknown, podFailed: boolean): string | undefined {
  const name = `container ${textOf(at(status, 'name'))}`;
  const waiting = textOf(at(status, 'state', 'waiting', 'reason'));
  if (lasting.has(waiting)) return `${name}: ${waitingText(status, waiting)}`;
  const ended = at(status, 'state', 'terminated') ?? at(status, 'lastState', 'terminated');
  const code = numberOf(at(ended, 'exitCode'));
  const restarts = numberOf(at(status, 'restartCount'));
  // Between two crashes a container runs or has just ended; that it fell before and is not ready is what counts.
  if (code !== 0 && at(status, 'ready') !== true && (restarts > 0 || podFailed))
    return `${name} ended with ${exitText(ended, code)}${restarts > 0 ? `, restarted ${restarts} times` : ''}; see its log`;
  return undefined;
}

function waitingText(status: unknown, reason: string): string {
  const image = textOf(at(status, 'image'));
  if (reason === 'CrashLoopBackOff') {
    const ended = at(status, 'lastState', 'terminated');
    const how = ended === undefined ? '' : ` with ${exitText(ended, numberOf(at(ended, 'exitCode')))}`;
    return `ends again and again${how} (CrashLoopBackOff); see its log`;
  }
  if (reason.startsWith('Create') || reason.startsWith('Run'))
    return `${textOf(at(status, 'state', 'waiting', 'message'))} (${reason})`;
  return `image ${image} cannot be pulled (${reason}); check its name and the pull secret`;
}

function exitText(ended: unknown, code: number): string {
  const reason = textOf(at(ended, 'reason'));
  return reason === 'OOMKilled' ? 'OOMKilled: it needs more memory than its limit' : `exit code ${code}`;
}

/**
 * A workload's health with what its pods say. A healthy workload does not listen (the pods of an old version may fail),
 * except a CronJob, whose own status tells of a run only after it ended.
 */
export function withTroubles(kind: string, health: Health, troubles: readonly Trouble[]): Health {
  const worst = troubles.find(({ state }) => state === 'degraded') ?? troubles[0];
  if (worst === undefined || health.state === 'suspended') return health;
  if (health.state === 'healthy') return kind === 'CronJob' ? { state: worst.state, reason: worst.reason } : health;
  const state = health.state === 'degraded' ? 'degraded' : worst.state;
  return { state, reason: health.reason === '' ? worst.reason : `${health.reason}: ${worst.reason}` };
}
