import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { cloneState } from '#support/state-clone.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { eventually, put } from '#support/walk.ts';

const spec = `apiVersion: plinth.dev/v1
kind: Project
volumes:
  data: {}
containers:
  web: { image: "nginxinc/nginx-unprivileged:1.29", port: 8080, route: /, mounts: { /data: data } }
`;

test('a setting that changes between two starts renders every project again; one that goes gives its value back', async () => {
  const { path, remove } = temporaryDirectory('plinth-manifests');
  onTestFinished(remove);
  let plinth: ControlPlane | undefined;
  onTestFinished(async () => {
    await plinth?.stop();
  });
  let clones = 0;
  const start = async (envFile: string) => {
    await plinth?.stop();
    plinth = await startControlPlane({ dataDirectory: join(path, 'data'), envFile });
    return plinth;
  };
  const manifests = async (running: ControlPlane, name: string) => {
    clones += 1;
    const clone = await cloneState(running, join(path, `clone-${clones}`));
    return clone.read(`environments/local/shop/${name}/manifests.yaml`);
  };

  const first = await start('DEPLOYMENT_MODE=kubernetes\nK8S_STORAGE_CLASS=standard\n');
  for (const name of ['one', 'two']) await put(first, `shop/${name}`, spec);
  expect(await manifests(first, 'one')).toContain('storageClassName: standard\n');

  const second = await start('DEPLOYMENT_MODE=kubernetes\nK8S_STORAGE_CLASS=fast\nPROJECTS_DOMAIN=apps.example.com\n');
  for (const name of ['one', 'two'])
    await eventually(
      () => manifests(second, name),
      (text) => text.includes('storageClassName: fast\n') && text.includes('.apps.example.com'),
    );

  const third = await start('DEPLOYMENT_MODE=kubernetes\n');
  for (const name of ['one', 'two'])
    await eventually(
      () => manifests(third, name),
      (text) => !text.includes('storageClassName') && text.includes(`${name}--shop.apps.localhost`),
    );
  const changes = (await third.request('GET', '/api/v1/changes?limit=50')).body.items;
  const settings = changes.filter(({ kind }: { kind: string }) => kind === 'settings');
  expect(settings.map(({ actor, state }: { actor: string; state: string }) => [actor, state])).toEqual([
    ['settings', 'committed'],
    ['settings', 'committed'],
    ['settings', 'committed'],
  ]);
});
