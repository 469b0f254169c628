import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { projectPath, smallest } from '#support/walk.ts';

describeWithCluster('a state repository that was put back to an earlier time', (cluster) => {
  const path = useTemporaryDirectory('plinth-restored');
  const project = projectPath('shop/restored');
  let plinth: ControlPlane;
  const start = async () => {
    plinth = await startControlPlane({
      dataDirectory: join(path, 'data'),
      environment: { KUBECONFIG: cluster().kubeconfig },
    });
  };
  beforeAll(start);
  afterAll(async () => {
    await plinth?.stop();
  });

  test('does not stop the control plane: what it holds is wanted again', async () => {
    await plinth.request('PUT', project, smallest);
    await plinth.until(project, (body) => body.phase === 'applied');
    await plinth.request('POST', `${project}/suspend`, { reason: 'so that the deletion waits' });
    cpSync(join(path, 'data/state.git'), join(path, 'copy.git'), { recursive: true });
    const deletion = await plinth.request('DELETE', `${project}?confirm=${project.split('/').slice(-2).join('/')}`);
    await plinth.until(`/api/v1/changes/${deletion.body.id}?wait=10`, (body) => body.state === 'committed');
    await plinth.stop();

    rmSync(join(path, 'data/state.git'), { recursive: true });
    renameSync(join(path, 'copy.git'), join(path, 'data/state.git'));
    await start();
    await plinth.until(project, (body) => body.spec !== null && body.phase === 'held');
    await plinth.request('POST', `${project}/resume`);
    await plinth.until(project, (body) => body.phase === 'applied' && body.waiting === null);
    expect(plinth.process.exitCode).toBeNull();
  });

  test('deletes nothing of what it has forgotten before somebody said yes', async () => {
    const worker = '  worker: { image: "nginxinc/nginx-unprivileged:1.29" }\n';
    const there = async () =>
      (await cluster().api('GET', '/apis/apps/v1/namespaces/local--shop--restored/deployments/worker')).status;
    cpSync(join(path, 'data/state.git'), join(path, 'copy.git'), { recursive: true });
    const change = await plinth.request('PUT', project, smallest + worker);
    await plinth.until(`/api/v1/changes/${change.body.id}?wait=10`, (body) => body.state === 'committed');
    await plinth.until(project, (body) => body.phase === 'applied' && body.images.length === 2);
    await expect.poll(there, { timeout: 10_000, interval: 20 }).toBe(200);
    await plinth.stop();

    rmSync(join(path, 'data/state.git'), { recursive: true });
    renameSync(join(path, 'copy.git'), join(path, 'data/state.git'));
    await start();
    const view = await plinth.until(project, (body) => body.phase === 'needs-confirmation');
    expect(view.waiting.objects).toEqual([
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        namespace: 'local--shop--restored',
        name: 'worker',
        action: 'delete',
      },
    ]);
    expect(await there()).toBe(200);
    await plinth.request('POST', `${project}/confirm`, { digest: view.waiting.digest });
    await expect.poll(there, { timeout: 10_000, interval: 20 }).toBe(404);
    await plinth.until(project, (body) => body.phase === 'applied' && body.waiting === null);
  });
});
