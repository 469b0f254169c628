import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { manifestsFile, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { describeWithCluster } from '#support/cluster.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { git, newCommit, runGit, silent } from '#support/git.ts';
import { openRemoteHost, type RemoteHost } from '#support/git-remote.ts';
import { stateUrl } from '#support/state-clone.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { endOf, eventually, projectPath, put, run, smallest } from '#support/walk.ts';

const key = (project: string) => ({ environment: 'local', team: 'remote', project });
const signIn = { username: 'plinth', password: 'canary-5d1f0b7e-token' };

describeWithCluster('the state repository lives on a remote', (cluster) => {
  const directory = useTemporaryDirectory('plinth-walk');
  let host: RemoteHost;
  let plinth: ControlPlane;
  let other: Repository;

  const start = async () => {
    plinth = await startControlPlane({
      dataDirectory: join(directory, 'data'),
      environment: {
        KUBECONFIG: cluster().kubeconfig,
        STATE_REPOSITORY_URL: host.url,
        STATE_REPOSITORY_USERNAME: signIn.username,
        STATE_REPOSITORY_TOKEN: signIn.password,
        STATE_REPOSITORY_POLL_SECONDS: '5',
      },
    });
  };
  const foreign = async (files: Record<string, string | null>) =>
    (await commit(other, { expected: await other.tip(), commits: [newCommit(files, 'By hand')] }))[0] ?? '';
  const summary = async (name: string) => (await plinth.request('GET', projectPath(name))).body;

  beforeAll(async () => {
    mkdirSync(dirname(join(directory, 'data')), { recursive: true });
    host = await openRemoteHost(signIn);
    other = await openRepository({ directory: host.directory, branch: 'main', log: silent });
    await start();
  });
  afterAll(async () => {
    await plinth?.stop();
    await other?.close();
    await host?.remove();
  });

  test('an empty remote is seeded; what the API takes is committed there and runs', async () => {
    expect(await git(host.directory, 'ls-tree', '--name-only', 'main:environments')).toContain('local');
    const { appliedRevision } = await run(plinth, 'remote/web', smallest);
    expect(await host.tip()).toBe(appliedRevision);
  });

  test('what others push there is rendered, committed and runs, without a webhook', { timeout: 180_000 }, async () => {
    await foreign({ [specFile(key('pushed'))]: smallest });
    const body = await plinth.until(
      projectPath('remote/pushed'),
      ({ phase, health }) => phase === 'applied' && health === 'healthy',
      60_000,
    );
    expect(await host.tip()).toBe(body.appliedRevision);
    expect(await git(host.directory, 'show', `main:${manifestsFile(key('pushed'))}`)).toContain('kind: Deployment');
  });

  test('while the remote is away changes are accepted and wait; back again, they are committed', {
    timeout: 180_000,
  }, async () => {
    host.mode = 'away';
    const changed = smallest.replace('port: 8080', 'port: 8080, env: { A: "1" }');
    const accepted = await plinth.request('PUT', projectPath('remote/web'), changed);
    expect(accepted.status).toBe(202);
    const ready = await eventually(
      () => plinth.request('GET', '/ready'),
      ({ body }) => body.remote?.ok === false,
    );
    expect([ready.status, ready.body.ready, ready.body.remote.reason.includes(host.url)]).toEqual([200, true, true]);
    host.mode = 'up';
    expect(await endOf(plinth, accepted)).toMatchObject({ state: 'committed' });
    await eventually(
      () => plinth.request('GET', '/ready'),
      ({ body }) => body.remote?.ok === true,
    );
  });

  test('a spec that cannot be rendered holds its project as it was, with why; its neighbours go on', {
    timeout: 180_000,
  }, async () => {
    const before = await summary('remote/web');
    await foreign({ [specFile(key('web'))]: 'kind: Nothing\n', [specFile(key('beside'))]: smallest });
    const { problem, etag } = await plinth.until(
      projectPath('remote/web'),
      (body) => body.problem?.code === 'SPEC_INVALID',
      60_000,
    );
    expect(problem.findings[0].file).toBe(specFile(key('web')));
    expect(etag).not.toBe(before.etag);
    await plinth.until(
      projectPath('remote/beside'),
      ({ phase, health }) => phase === 'applied' && health === 'healthy',
      60_000,
    );
    await put(plinth, 'remote/web', smallest);
    await plinth.until(projectPath('remote/web'), ({ phase, problem: now }) => phase === 'applied' && now === null);
  });

  test('the mirror is cloned from Plinth, and pushes are sent to the remote', async () => {
    const clone = join(directory, 'clone');
    await git(directory, 'clone', '--quiet', stateUrl(plinth), clone);
    await git(clone, 'commit', '--quiet', '--allow-empty', '--message', 'Mine');
    const pushed = await runGit(clone, ['push', 'origin', 'HEAD:main']);
    expect([pushed.code === 0, pushed.stderr.includes(host.url)]).toEqual([false, true]);
  });

  test('killed and started again it goes on where the remote is', { timeout: 180_000 }, async () => {
    await plinth.kill();
    const tip = await foreign({ [specFile(key('late'))]: smallest });
    await start();
    await plinth.until(
      projectPath('remote/late'),
      ({ phase, health }) => phase === 'applied' && health === 'healthy',
      60_000,
    );
    expect(await git(host.directory, 'merge-base', '--is-ancestor', tip, 'main')).toBe('');
    expect(plinth.output() + plinth.log()).not.toContain(signIn.password);
  });
});
