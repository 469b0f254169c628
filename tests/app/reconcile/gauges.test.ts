import { expect, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import type { CommitInfo } from '#git/commit-info.ts';
import { createGauges } from '#reconcile/gauges.ts';
import { newState, type ProjectState } from '#reconcile/run.ts';
import { wholeShare } from '#reconcile/share.ts';
import type { Phase, Status } from '#reconcile/store.ts';
import type { HealthState, LiveObject } from '#runtime/runtime.ts';

let nowMs = 1_000_000;
const clock: Clock = { ...systemClock, now: () => new Date(nowMs), monotonicMs: () => nowMs };

const status = (phase: Phase, health: string): Status => ({
  revision: 'a',
  manifestsDigest: 'd',
  phase,
  health,
  reasons: [],
  problem: undefined,
  origin: undefined,
});

function stateOf(project: string, now: Status | undefined, loaded = 'm'): ProjectState {
  const state = newState({ environment: 'local', team: 'shop', project });
  state.status = now;
  state.blobs = { spec: 's', manifests: 'm' };
  state.loaded = loaded;
  return state;
}

const objectOf = (namespace: string, kind: string, state: HealthState): LiveObject => ({
  key: { apiVersion: 'v1', kind, namespace, name: 'x' },
  uid: 'u',
  resourceVersion: '1',
  ownedDigest: '',
  health: { state, reason: '' },
  deleting: false,
  installation: 'i',
});

function start(states: readonly ProjectState[], oldestMs = 0) {
  const metrics = createMetrics();
  const asked: string[] = [];
  const gauges = createGauges({
    metrics,
    environment: 'local',
    clock,
    runtime: {
      observed: (namespace) => {
        asked.push(namespace);
        return [objectOf(namespace, 'Service', 'healthy'), objectOf(namespace, 'Deployment', 'degraded')];
      },
    },
    states: () => states,
    repository: { describe: async (revision) => ({ date: new Date(Number(revision)) }) as CommitInfo },
    share: { leaseOf: (key) => (key.project === 'theirs' ? undefined : wholeShare.leaseOf(key)) },
    queue: { oldestMs: () => oldestMs },
  });
  const read = async (name: string) =>
    (await metrics.registry.getSingleMetricAsString(name)).split('\n').filter((line) => !line.startsWith('#'));
  return { gauges, asked, read };
}

test('projects by phase and health, of those that are ours', async () => {
  const states = [
    stateOf('one', status('applied', 'healthy')),
    stateOf('two', status('applied', 'healthy')),
    stateOf('three', status('failed', 'degraded')),
    stateOf('four', undefined),
    stateOf('theirs', status('applied', 'healthy')),
  ];
  const { gauges, read } = start(states);
  expect(await read('plinth_projects')).toEqual([
    'plinth_projects{environment="local",phase="applied",health="healthy"} 2',
    'plinth_projects{environment="local",phase="failed",health="degraded"} 1',
    'plinth_projects{environment="local",phase="new",health="unknown"} 1',
  ]);
  gauges.stop();
  expect(await read('plinth_projects')).toEqual([]);
});

test('objects by kind and health, counted once in 10 s however often somebody asks', async () => {
  const { asked, read } = start([stateOf('one', undefined), stateOf('two', undefined), stateOf('theirs', undefined)]);
  const wanted = [
    'plinth_objects{environment="local",kind="Service",health="healthy"} 2',
    'plinth_objects{environment="local",kind="Deployment",health="degraded"} 2',
  ];
  expect(await read('plinth_objects')).toEqual(wanted);
  nowMs += 9_999;
  expect(await read('plinth_objects')).toEqual(wanted);
  expect(asked).toEqual(['local--shop--one', 'local--shop--two']);
  nowMs += 1;
  await read('plinth_objects');
  expect(asked).toHaveLength(4);
});

test('the age of the queue in seconds', async () => {
  const { read } = start([], 2500);
  expect(await read('plinth_reconcile_queue_age_seconds')).toEqual([
    'plinth_reconcile_queue_age_seconds{environment="local"} 2.5',
  ]);
});

test('the lag is from the first commit that touched a project until the newest is applied', async () => {
  const state = stateOf('one', status('applying', 'progressing'));
  const { gauges, read } = start([state]);
  const sum = async () => (await read('plinth_reconcile_lag_seconds')).filter((line) => /_(sum|count)/.test(line));
  gauges.ran('shop/one', state); // nothing touched it: a resync
  await gauges.touched(new Set(['shop/one']), `${nowMs}`);
  nowMs += 3_000;
  await gauges.touched(new Set(['shop/one']), `${nowMs}`);
  gauges.ran('shop/one', state);
  state.status = status('applied', 'healthy');
  state.loaded = 'older';
  gauges.ran('shop/one', state);
  expect(await sum()).toEqual([]);
  nowMs += 2_000;
  state.loaded = 'm';
  gauges.ran('shop/one', state);
  gauges.ran('shop/one', state);
  expect(await sum()).toEqual([
    'plinth_reconcile_lag_seconds_sum{environment="local"} 5',
    'plinth_reconcile_lag_seconds_count{environment="local"} 1',
  ]);
});
