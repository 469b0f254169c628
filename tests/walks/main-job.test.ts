import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import { admin, type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { temporaryDirectory } from '#support/temporary.ts';

const smallest = `apiVersion: plinth.dev/v1
kind: Project
containers:
  web: { image: "nginxinc/nginx-unprivileged:1.29", port: 8080 }
`;

describeWithCluster('the main job: a spec becomes running objects through Git', (cluster) => {
  const { path: dataDirectory, remove } = temporaryDirectory('plinth-walk');
  const project = '/api/v1/environments/local/projects/shop/main-job';
  const namespace = 'local--shop--main-job';
  let plinth: ControlPlane;
  const start = () =>
    startControlPlane({
      dataDirectory: join(dataDirectory, 'data'),
      environment: { KUBECONFIG: cluster().kubeconfig },
    });
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: dataDirectory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: dataDirectory, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' },
    });
  const gitUrl = () =>
    `${plinth.url.replace('http://', `http://${encodeURIComponent(admin.email)}:${encodeURIComponent(admin.password)}@`)}/git/state.git`;
  const deployment = async () =>
    (await cluster().api('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/web`)).body;

  beforeAll(async () => {
    plinth = await start();
  });
  afterAll(async () => {
    await plinth?.stop();
    remove();
  });

  test('it says where everything is, and writes nothing to the cluster before the first project', async () => {
    expect(plinth.output()).toContain('local       kubernetes');
    await plinth.until('/ready', (body) => body.ready && body.clusters.local.ok);
    expect((await plinth.request('GET', '/api/v1/environments/local/projects')).body).toEqual({
      items: [],
      next: null,
    });
  });

  test('PUT a project: accepted, committed, applied, healthy', async () => {
    const accepted = await plinth.request('PUT', project, smallest);
    expect(accepted.status, accepted.text).toBe(202);
    const change = await plinth.request('GET', `/api/v1/changes/${accepted.body.id}?wait=10`);
    expect(change.body).toMatchObject({ state: 'committed', revision: expect.stringMatching(/^[0-9a-f]{40}$/) });
    const view = await plinth.until(project, (body) => body.phase === 'applied' && body.health === 'healthy');
    expect(view).toMatchObject({ revision: change.body.revision, appliedRevision: change.body.revision, namespace });
    expect((await deployment()).spec.template.spec.containers[0].image).toBe('nginxinc/nginx-unprivileged:1.29');
  });

  test('git clone shows spec and manifests with their trailers', () => {
    git('clone', '--quiet', gitUrl(), 'clone');
    const folder = join(dataDirectory, 'clone/environments/local/shop/main-job');
    expect(readFileSync(join(folder, 'project.yaml'), 'utf8')).toBe(smallest);
    expect(readFileSync(join(folder, 'manifests.yaml'), 'utf8')).toContain('kind: Deployment');
    expect(git('-C', 'clone', 'log', '-1', '--format=%B')).toMatch(
      /Plinth-Change: chg_.*\nPlinth-Actor: admin@localhost.ai\nPlinth-Spec: sha256:/s,
    );
  });

  test('the same spec again changes nothing', async () => {
    const again = await plinth.request('PUT', project, smallest);
    expect((await plinth.request('GET', `/api/v1/changes/${again.body.id}?wait=10`)).body.state).toBe('unchanged');
  });

  test('a push by hand is answered by a rendering commit and applied', async () => {
    const file = 'environments/local/shop/main-job/project.yaml';
    execFileSync('sed', ['-i', 's/1.29/1.30/', join(dataDirectory, 'clone', file)]);
    git('-C', 'clone', '-c', 'user.name=Ann', '-c', 'user.email=ann@example.com', 'commit', '-qam', 'Newer nginx');
    git('-C', 'clone', 'push', '--quiet', 'origin', 'main');
    await expect
      .poll(async () => (await deployment()).spec.template.spec.containers[0].image, { timeout: 10_000, interval: 20 })
      .toBe('nginxinc/nginx-unprivileged:1.30');
    await plinth.until(project, (body) => body.phase === 'applied' && body.health === 'healthy');
  });

  test('a foreign edit and a foreign deletion are healed', async () => {
    await cluster().api(
      'PATCH',
      `/apis/apps/v1/namespaces/${namespace}/deployments/web`,
      { spec: { template: { spec: { containers: [{ name: 'web', image: 'evil:1' }] } } } },
      'application/strategic-merge-patch+json',
    );
    await expect
      .poll(async () => (await deployment()).spec.template.spec.containers[0].image, { timeout: 5_000, interval: 10 })
      .toBe('nginxinc/nginx-unprivileged:1.30');
    await cluster().api('DELETE', `/api/v1/namespaces/${namespace}/services/web`);
    await expect
      .poll(async () => (await cluster().api('GET', `/api/v1/namespaces/${namespace}/services/web`)).status, {
        timeout: 5_000,
        interval: 10,
      })
      .toBe(200);
  });

  test('kill -9 and a start lose nothing, and do nothing that is done already', async () => {
    const before = (await deployment()).metadata.resourceVersion;
    const accepted = await plinth.request('PUT', project, smallest.replace('8080', '8081'));
    expect(accepted.status).toBe(202);
    await plinth.kill();
    plinth = await start();
    const change = await plinth.request('GET', `/api/v1/changes/${accepted.body.id}?wait=10`);
    expect(change.body.state).toBe('committed');
    await plinth.until(project, (body) => body.appliedRevision === change.body.revision && body.health === 'healthy');
    expect((await deployment()).metadata.resourceVersion).not.toBe(before);
  });

  test('DELETE needs the name as confirmation, then frees the namespace', async () => {
    expect((await plinth.request('DELETE', project)).body).toMatchObject({ code: 'CONFIRMATION_NEEDED' });
    const accepted = await plinth.request('DELETE', `${project}?confirm=shop/main-job`);
    expect(accepted.status, accepted.text).toBe(202);
    await expect
      .poll(async () => (await cluster().api('GET', `/api/v1/namespaces/${namespace}`)).status, {
        timeout: 30_000,
        interval: 50,
      })
      .toBe(404);
    await expect
      .poll(async () => (await plinth.request('GET', project)).status, { timeout: 5_000, interval: 20 })
      .toBe(404);
  });

  test('it drains and leaves with code 0', async () => {
    expect(await plinth.stop()).toBe(0);
  });
});
