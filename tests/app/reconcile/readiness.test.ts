import { beforeEach, expect, test } from 'vitest';
import { createReadiness } from '#reconcile/readiness.ts';
import { newState, type ProjectState } from '#reconcile/run.ts';
import { readStandings } from '#reconcile/standings.ts';
import { useDatabase } from '#support/postgres.ts';
import { eventually } from '#support/walk.ts';

const db = useDatabase();
const keyOf = (name: string) => {
  const [team = '', project = ''] = name.split('/');
  return { environment: 'local', team, project };
};
const origin = (manifests: string, dependsOn?: readonly string[]) => ({
  spec: 's',
  manifests,
  door: 'd',
  secrets: [],
  dependsOn,
});
const status = (phase: string, health: string) =>
  ({ phase, health, revision: 'r', manifestsDigest: 'sha256:1', reasons: [], problem: undefined }) as never;

/** Projects of an environment, some of them another replica's, and who was marked. */
function open(ours: readonly string[]) {
  const states = new Map<string, ProjectState>();
  const marked: string[] = [];
  const readiness = createReadiness({
    database: db.database,
    stateOf: (name) => states.get(name),
    isOurs: (key) => ours.includes(`${key.team}/${key.project}`),
    mark: (name) => marked.push(name),
  });
  const add = (name: string, more: Partial<ProjectState> = {}) => {
    const state: ProjectState = { ...newState(keyOf(name)), blobs: { spec: 's', manifests: 'm1' }, ...more };
    states.set(name, state);
    return state;
  };
  return { readiness, states, marked, add, waits: (name: string) => readiness.blockersOf(keyOf(name)).waitsFor };
}

/** What another replica wrote, and what the index of Git says. */
async function wrote(name: string, phase: string, health: string, manifests: string | null, newest = true) {
  const { environment, team, project } = keyOf(name);
  await db.database.query(
    `insert into project_status (environment, team, project, phase, health, manifests_digest, origin)
     values ($1, $2, $3, $4, $5, 'sha256:1', $6::jsonb)
     on conflict (environment, team, project) do update
     set phase = excluded.phase, health = excluded.health, origin = excluded.origin`,
    [environment, team, project, phase, health, manifests === null ? null : JSON.stringify(origin(manifests))],
  );
  await db.database.query(
    `insert into projects (id, environment, team, project, created_by, manifests_digest)
     values ($1, $2, $3, $4, 'ada', $5) on conflict (environment, team, project) do update
     set manifests_digest = excluded.manifests_digest`,
    [`prj_${name}`, environment, team, project, newest ? 'sha256:1' : 'sha256:2'],
  );
}

beforeEach(async () => {
  await db.database.query('truncate project_status, projects');
});

test('who waits is marked when what it waits for becomes ready, once, and not before', () => {
  const { readiness, marked, add, waits } = open(['shop/web', 'shop/api']);
  add('shop/web', { origin: origin('m1', ['shop/api']) });
  const api = add('shop/api', { origin: origin('m1') });
  expect(waits('shop/web')).toEqual(['shop/api']);
  const step = (change: Partial<ProjectState>) => {
    const end = readiness.begin('shop/api');
    Object.assign(api, change);
    end();
    return [...marked];
  };
  expect(step({ status: status('applying', 'progressing'), loaded: 'm1' })).toEqual([]);
  expect(step({ status: status('applied', 'progressing') })).toEqual([]);
  expect(step({ status: status('applied', 'healthy') })).toEqual(['shop/web']);
  expect(step({})).toEqual(['shop/web']);
  expect(waits('shop/web')).toEqual([]);
  // Git moved on: ready means the newest.
  Object.assign(api, { blobs: { spec: 's', manifests: 'm2' } });
  expect(waits('shop/web')).toEqual(['shop/api']);
  expect(step({ loaded: 'm2' })).toEqual(['shop/web', 'shop/web']);
});

test('of what another replica reconciles its record counts, and only where it is about the newest manifests', async () => {
  const { readiness, marked, add, waits, states } = open(['shop/web']);
  add('shop/web', { origin: origin('m1', ['shop/api']) });
  add('shop/api');
  await wrote('shop/api', 'applied', 'healthy', 'm0');
  expect(waits('shop/web')).toEqual(['shop/api']);
  await eventually(
    async () => waits('shop/web').length,
    (count) => count === 1,
  );
  await wrote('shop/api', 'applied', 'healthy', 'm1');
  readiness.heard('shop/api');
  await eventually(
    async () => marked,
    (all) => all.length > 0,
  );
  expect(marked).toEqual(['shop/web']);
  expect(waits('shop/web')).toEqual([]);
  await wrote('shop/api', 'applied', 'degraded', 'm1');
  readiness.heard('shop/api');
  await eventually(
    async () => waits('shop/web'),
    (names) => names.length === 1,
  );
  // Nobody of ours waits for this one: nothing is read.
  readiness.heard('shop/other');
  states.delete('shop/api');
  expect(waits('shop/web')).toEqual(['shop/api']);
});

test('a record that does not say what it is about is measured by the index of Git', async () => {
  await wrote('shop/api', 'applied', 'healthy', null);
  await wrote('shop/old', 'applied', 'healthy', null, false);
  const standings = await readStandings(db.database, [keyOf('shop/api'), keyOf('shop/none'), keyOf('shop/old')]);
  expect(standings).toEqual([
    { phase: 'applied', health: 'healthy', manifests: null, newest: true },
    { phase: null, health: null, manifests: null, newest: false },
    { phase: 'applied', health: 'healthy', manifests: null, newest: false },
  ]);
});

test('what leaves goes after those that depend on it and leave too; who stays keeps nobody', () => {
  const { readiness, marked, add, states } = open(['shop/base', 'shop/top', 'shop/stays']);
  const inventory = new Map([['x', {} as never]]);
  add('shop/base', { origin: origin('m1'), inventory });
  add('shop/top', { origin: origin('m1', ['shop/base']), inventory });
  add('shop/stays', { origin: origin('m1', ['shop/base']), inventory });
  for (const name of states.keys()) readiness.begin(name)();
  for (const name of ['shop/base', 'shop/top'])
    Object.assign(states.get(name) ?? {}, { blobs: undefined, origin: undefined });
  expect(readiness.leavesAfter(keyOf('shop/base'))).toEqual(['shop/top']);
  expect(readiness.leavesAfter(keyOf('shop/top'))).toEqual([]);
  expect(readiness.blockersOf(keyOf('shop/top'))).toEqual({ waitsFor: [], circle: [] });
  const end = readiness.begin('shop/top');
  states.delete('shop/top');
  end();
  expect(marked).toEqual(['shop/base']);
  expect(readiness.leavesAfter(keyOf('shop/base'))).toEqual([]);
});

test('all who are in a circle say so, also those who were read first; once it is open they go on', () => {
  const { readiness, marked, add, waits } = open(['shop/aaa', 'shop/bbb', 'shop/ccc']);
  add('shop/aaa', { origin: origin('m1', ['shop/bbb']) });
  const bbb = add('shop/bbb', { origin: origin('m1', ['shop/ccc']) });
  add('shop/ccc', { origin: origin('m1', ['shop/aaa']) });
  const circle = (name: string) => readiness.blockersOf(keyOf(name)).circle.join(' ');
  /** Runs whoever was marked, until nobody is. */
  const settle = () => {
    for (let runs = 0; marked.length > 0; runs++) {
      expect(runs).toBeLessThan(20);
      waits(marked.shift() ?? '');
    }
  };
  expect([circle('shop/aaa'), circle('shop/bbb')]).toEqual(['', '']);
  expect(circle('shop/ccc')).toBe('shop/ccc shop/aaa shop/bbb shop/ccc');
  expect([...marked].sort()).toEqual(['shop/aaa', 'shop/bbb']);
  settle();
  expect(circle('shop/aaa')).toBe('shop/aaa shop/bbb shop/ccc shop/aaa');
  bbb.origin = { ...origin('m2'), dependsOn: undefined };
  expect(waits('shop/bbb')).toEqual([]);
  expect([...marked].sort()).toEqual(['shop/aaa', 'shop/ccc']);
  settle();
  expect([circle('shop/aaa'), circle('shop/ccc')]).toEqual(['', '']);
});
