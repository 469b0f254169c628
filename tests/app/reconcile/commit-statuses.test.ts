import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { manifestsFile, specFile } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { commit } from '#git/commit.ts';
import { createGitHost, type OpenGitHost } from '#git/git-host.ts';
import type { Repository } from '#git/repository.ts';
import { recordRefusal } from '#publish/refusals.ts';
import { recordRenders } from '#publish/store.ts';
import { digestOf } from '#reconcile/decide/desired.ts';
import { type CommitStatuses, startCommitStatuses } from '#reconcile/tell/commit-statuses.ts';
import { openSecrets } from '#secrets/open.ts';
import { organization } from '#secrets/scope.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { createCanaries } from '#support/canaries.ts';
import { newCommit, openTemporary, silent } from '#support/git.ts';
import { type PlayedHost, playedRepository, playedToken, startPlayedHost } from '#support/played-hosts.ts';
import { createTestDatabase, type TestDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { eventually } from '#support/walk.ts';

const key = (project: string) => ({ environment: 'local', team: 'shop', project });

/** The pipeline over a real database and a real repository, and a host of strict manners. */
describe('commit statuses', () => {
  let db: TestDatabase;
  let repository: Repository;
  let remove: () => Promise<void>;
  let host: PlayedHost;
  let secrets: Secrets;
  const folder = useTemporaryDirectory();
  const open: { api: OpenGitHost; statuses: CommitStatuses }[] = [];

  beforeEach(async () => {
    [db, { repository, remove }, host] = await Promise.all([
      createTestDatabase(),
      openTemporary(),
      startPlayedHost('github'),
    ]);
    const encryption = { dataDirectory: folder };
    ({ secrets } = await openSecrets({ database: db.database, log: silent, clock: systemClock, encryption }));
  });
  afterEach(async () => {
    for (const { api, statuses } of open.splice(0)) {
      await statuses.stop();
      await api.close();
    }
    await Promise.all([db.drop(), remove(), host.close()]);
  });

  const start = (apiUrl = host.apiUrl) => {
    const credential = async () => new Secret(playedToken);
    const api = createGitHost({
      kind: 'github',
      apiUrl,
      repository: playedRepository.github,
      credential,
      clock: systemClock,
    });
    const statuses = startCommitStatuses({
      ...{ database: db.database, repository, host: api, clock: systemClock, log: silent, metrics: createMetrics() },
      secrets,
      reports: async (environment) => environment === 'local',
      urlOf: ({ revision }) => `https://plinth.example.com/${revision}`,
    });
    const one = { api, statuses };
    open.push(one);
    return one;
  };
  const wake = () => {
    for (const { statuses } of open) statuses.wake();
  };

  /** A commit of these specs; with `rendered`, with the manifests that publish would make. null removes a project. */
  const write = async (projects: Record<string, string | null>, rendered = true): Promise<string> => {
    const files: [string, string | null][] = [];
    for (const [name, spec] of Object.entries(projects)) {
      files.push([specFile(key(name)), spec]);
      if (rendered) files.push([manifestsFile(key(name)), spec === null ? null : `manifests of ${spec}`]);
    }
    if (rendered) await render(projects);
    const expected = await repository.tip();
    const [revision] = await commit(repository, { expected, commits: [newCommit(Object.fromEntries(files))] });
    wake();
    return revision!;
  };
  const render = async (projects: Record<string, string | null>) =>
    await recordRenders(
      db.database,
      Object.entries(projects).flatMap(([name, spec]) =>
        spec === null
          ? []
          : [
              {
                ...key(name),
                specDigest: digestOf(spec),
                manifestsDigest: digestOf(`manifests of ${spec}`),
                environmentDigest: '',
                renderer: '',
              },
            ],
      ),
    );
  /** What reconcile would write of a project. */
  const report = async (
    name: string,
    spec: string,
    change: { phase?: string; health?: string; problem?: object } = {},
  ) => {
    const { phase = 'applied', health = 'healthy' } = change;
    const manifests = blobIdOf(`manifests of ${spec}`);
    const problem = change.problem === undefined ? null : JSON.stringify({ ...change.problem, manifests });
    const digest = phase === 'applied' ? digestOf(`manifests of ${spec}`) : null;
    await db.database.query(
      `insert into project_status (environment, team, project, manifests_digest, phase, health, problem)
       values ('local', 'shop', $1, $2, $3, $4, $5)
       on conflict (environment, team, project) do update
       set manifests_digest = coalesce($2, project_status.manifests_digest), phase = $3, health = $4, problem = $5`,
      [name, digest, phase, health, problem],
    );
    wake();
  };
  /** The states of a context, in the order in which the host took them. */
  const told = (revision: string, aspect: string) =>
    host.statuses
      .filter((each) => each.revision === revision && each.context === `plinth/local/${aspect}`)
      .map(({ state }) => state);
  const reached = (revision: string, aspect: string, state: string) =>
    eventually(
      async () => told(revision, aspect),
      (states) => states.at(-1) === state,
    );
  const last = (revision: string, aspect: string) =>
    host.statuses.findLast((each) => each.revision === revision && each.context === `plinth/local/${aspect}`)
      ?.description;
  const begin = async () => {
    await write({ base: 'zero' });
    const one = start();
    await eventually(
      async () => (await db.database.query(`select from cursors where name = 'commit-statuses'`)).rowCount,
      (count) => count === 1,
    );
    return one;
  };

  test('pending, then applied, then healthy, each once; what was there before the first start is not told', async () => {
    await begin();
    const revision = await write({ web: 'one' });
    await reached(revision, 'healthy', 'pending');
    await report('web', 'one', { phase: 'applying', health: 'progressing' });
    await report('web', 'one', { health: 'progressing' });
    await reached(revision, 'applied', 'success');
    await report('web', 'one');
    await reached(revision, 'healthy', 'success');
    await report('web', 'one', { health: 'degraded' });
    wake();
    const next = await write({ web: 'two' });
    await reached(next, 'applied', 'pending');
    expect([told(revision, 'applied'), told(revision, 'healthy')]).toEqual([
      ['pending', 'success'],
      ['pending', 'success'],
    ]);
    expect(new Set(host.statuses.map((each) => each.revision))).toEqual(new Set([revision, next]));
    expect(host.statuses[0]?.url).toBe(`https://plinth.example.com/${revision}`);
    expect(last(revision, 'applied')).toBe('1 project applied');
  });

  test('many projects in one commit are one status of each context, and one that fails is named', async () => {
    await begin();
    const names = Array.from({ length: 60 }, (_, i) => `app-${String(i).padStart(2, '0')}`);
    const revision = await write(Object.fromEntries(names.map((name) => [name, 'one'])));
    await reached(revision, 'applied', 'pending');
    for (const name of names.slice(2)) await report(name, 'one');
    await report('app-01', 'one', {
      phase: 'failed',
      problem: { code: 'OBJECT_REFUSED', detail: 'the quota is used up' },
    });
    await reached(revision, 'applied', 'failure');
    expect(last(revision, 'applied')).toBe('shop/app-01: the quota is used up');
    await report('app-00', 'one');
    await report('app-01', 'one');
    await reached(revision, 'healthy', 'success');
    await reached(revision, 'applied', 'success');
    expect(told(revision, 'applied')).toEqual(['pending', 'failure', 'success']);
  });

  test('a problem of an older commit is none of a newer one', async () => {
    await begin();
    const first = await write({ web: 'one' });
    await report('web', 'one', { phase: 'failed', problem: { code: 'OBJECT_REFUSED', detail: 'no' } });
    await reached(first, 'applied', 'failure');
    const second = await write({ web: 'two' });
    await reached(second, 'applied', 'pending');
    await report('web', 'two');
    await reached(second, 'healthy', 'success');
    expect([told(first, 'applied').at(-1), told(second, 'applied')]).toEqual(['failure', ['pending', 'success']]);
  });

  test('a commit whose place a later one takes ends with that one, and a rendering commit takes nobody’s place', async () => {
    await begin();
    const pushed = await write({ web: 'one' }, false);
    await reached(pushed, 'applied', 'pending');
    await render({ web: 'one' });
    const [rendering] = await commit(repository, {
      expected: await repository.tip(),
      commits: [newCommit({ [manifestsFile(key('web'))]: 'manifests of one' })],
    });
    await report('web', 'one', { health: 'degraded' });
    await reached(pushed, 'healthy', 'failure');
    await report('web', 'one');
    await reached(pushed, 'healthy', 'success');
    await reached(rendering!, 'healthy', 'success');
    const older = await write({ web: 'two' });
    const newer = await write({ web: 'three' });
    await report('web', 'three');
    await reached(newer, 'healthy', 'success');
    await reached(older, 'healthy', 'success');
    const bad = await write({ web: 'four' });
    const worse = await write({ web: 'five' });
    await reached(worse, 'applied', 'pending');
    await report('web', 'five', { phase: 'failed', problem: { code: 'OBJECT_REFUSED', detail: 'no' } });
    await reached(bad, 'applied', 'failure');
    expect(last(bad, 'applied')).toBe('shop/web: replaced by a later commit: no');
    const mended = await write({ web: 'six' });
    await report('web', 'six');
    await reached(mended, 'healthy', 'success');
    expect([told(bad, 'applied').at(-1), told(worse, 'applied').at(-1)]).toEqual(['failure', 'failure']);
  });

  test('a spec that cannot be rendered fails with the reason; mended by the next commit, it stays failed', async () => {
    await begin();
    const refused = await write({ web: 'bad' }, false);
    await reached(refused, 'applied', 'pending');
    await recordRefusal(db.database, key('web'), {
      specBlob: blobIdOf('bad'),
      code: 'SPEC_INVALID',
      detail: 'project.yaml: port: is missing',
    });
    wake();
    await reached(refused, 'healthy', 'failure');
    expect(last(refused, 'applied')).toBe('shop/web: project.yaml: port: is missing');
    const mended = await write({ web: 'good' });
    await report('web', 'good');
    await reached(mended, 'healthy', 'success');
    expect(told(refused, 'applied')).toEqual(['pending', 'failure']);
  });

  test('what publish refused counts only once it has looked at that very spec', async () => {
    const scanned = async (revision: string) => {
      await db.database.query(
        `insert into cursors (name, revision) values ('publish', $1) on conflict (name) do update set revision = $1`,
        [revision],
      );
      wake();
    };
    await begin();
    const before = (await repository.tip())!;
    await db.database.query(
      `insert into changes (id, kind, environment, team, project, actor, state, problem)
       values ('chg_1', 'render', 'local', 'shop', 'web', 'plinth', 'refused', '{"detail":"the host is taken"}')`,
    );
    await scanned(before);
    const taken = await write({ web: 'one' }, false);
    await reached(taken, 'applied', 'pending');
    const other = await write({ other: 'one' });
    await report('other', 'one');
    await reached(other, 'healthy', 'success');
    expect(told(taken, 'applied')).toEqual(['pending']);
    await scanned(other);
    await reached(taken, 'applied', 'failure');
    expect(last(taken, 'applied')).toBe('shop/web: the host is taken');

    await db.database.query(
      `insert into source_problems (path, kind, environment, team, project, entry, code, detail, findings, revision)
       values ('environments/local/shop/link', 'path', 'local', 'shop', 'link', '', 'PATH_INVALID', 'it is a link', '[]', $1)`,
      [other],
    );
    const linked = await write({ link: 'one' }, false);
    await reached(linked, 'applied', 'pending');
    const next = await write({ other: 'two' });
    await report('other', 'two');
    await reached(next, 'healthy', 'success');
    expect(told(linked, 'applied')).toEqual(['pending']);
    await scanned(next);
    await reached(linked, 'healthy', 'failure');
    expect(last(linked, 'healthy')).toBe('shop/link: environments/local/shop/link: it is a link');
  });

  test('no secret of a project or of what is around it leaves in a description', async () => {
    const canaries = createCanaries();
    const values = [canaries.next(), canaries.next()] as const;
    await secrets.set(key('web'), 'password', new Secret(values[0]), 'ada');
    await secrets.set(organization, 'token', new Secret(values[1]), 'ada');
    await secrets.grant(organization, 'token', ['*/shop/*'], 'ada');
    await begin();
    const refused = await write({ web: 'bad' }, false);
    const detail = `${values[0]} and ${encodeURIComponent(values[1])} are wrong`;
    await recordRefusal(db.database, key('web'), { specBlob: blobIdOf('bad'), code: 'SPEC_INVALID', detail });
    wake();
    await reached(refused, 'healthy', 'failure');
    expect(last(refused, 'healthy')).toBe('shop/web: [secret] and [secret] are wrong');
    const failed = await write({ web: 'one' });
    const problem = { code: 'OBJECT_REFUSED', detail: `Invalid value: ${Buffer.from(values[0]).toString('base64')}` };
    await report('web', 'one', { phase: 'failed', problem });
    await reached(failed, 'applied', 'failure');
    expect(last(failed, 'applied')).toBe('shop/web: Invalid value: [secret]');
    const { rows } = await db.database.query('select s::text from commit_statuses s');
    for (const text of [JSON.stringify(host.statuses), JSON.stringify(rows)]) expect(canaries.findIn(text)).toEqual([]);
  });

  test('where secrets cannot be read only the kind of trouble is told', async () => {
    const canaries = createCanaries();
    const value = canaries.next();
    await secrets.set(key('web'), 'password', new Secret(value), 'ada');
    await db.database.query(`update secret_values set ciphertext = '\\x0102' where name = 'password'`);
    await begin();
    const failed = await write({ web: 'one' });
    await report('web', 'one', { phase: 'failed', problem: { code: 'OBJECT_REFUSED', detail: `not ${value}` } });
    await reached(failed, 'applied', 'failure');
    const { rows } = await db.database.query<{ description: string }>(
      `select description from commit_statuses where state = 'failure' and aspect = 'applied'`,
    );
    expect(rows.map(({ description }) => description)).toEqual([
      'shop/web: cannot be applied (why is left out: the secrets to be masked in it cannot be read)',
    ]);
    expect(canaries.findIn(JSON.stringify(host.statuses))).toEqual([]);
  });

  test('a removal is applied when nothing is left', async () => {
    await begin();
    await write({ web: 'one' });
    await report('web', 'one');
    const removal = await write({ web: null });
    await reached(removal, 'applied', 'pending');
    await db.database.query('delete from project_status');
    wake();
    await reached(removal, 'healthy', 'success');
  });

  test('a host that is away is told later, and once', async () => {
    await begin();
    host.answerNext({ status: 502 });
    host.answerNext({ status: 503, headers: { 'retry-after': '1' } });
    const revision = await write({ web: 'one' });
    await report('web', 'one');
    await reached(revision, 'healthy', 'success');
    await reached(revision, 'applied', 'success');
    expect(told(revision, 'applied').filter((state) => state === 'success')).toEqual(['success']);
  });

  test('three replicas and a restart tell nothing twice', async () => {
    await begin();
    start();
    start();
    const revisions: string[] = [];
    for (let i = 0; i < 10; i++) {
      const spec = `spec ${randomUUID()}`;
      revisions.push(await write({ [`app-${i}`]: spec }));
      await report(`app-${i}`, spec);
    }
    await Promise.all(
      open.splice(0, 2).map(async ({ api, statuses }) => {
        await statuses.stop();
        await api.close();
      }),
    );
    for (const revision of revisions) {
      await reached(revision, 'applied', 'success');
      await reached(revision, 'healthy', 'success');
    }
    const seen = host.statuses.map(({ revision, context, state }) => `${revision} ${context} ${state}`);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('environments that others apply, and a replica that is behind, tell nothing', async () => {
    await begin();
    const other = await repository.tip();
    const [revision] = await commit(repository, {
      expected: other,
      commits: [newCommit({ [specFile({ ...key('web'), environment: 'staging' })]: 'one' })],
    });
    const known = await write({ web: 'one' });
    await reached(known, 'applied', 'pending');
    await db.database.query(`update cursors set revision = $1 where name = 'commit-statuses'`, ['f'.repeat(40)]);
    await report('web', 'one');
    await db.database.query(`update cursors set revision = $1 where name = 'commit-statuses'`, [known]);
    wake();
    await reached(known, 'healthy', 'success');
    expect(host.statuses.some((each) => each.revision === revision)).toBe(false);
  });
});
