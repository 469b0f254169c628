import { expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { findCluster } from '#runtime/kubernetes/connect.ts';
import { describeWithCluster } from '#support/cluster.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { keepInSecret, passwordKeeper } from '../../app/password-secret.ts';

describeWithCluster('the generated password of an administrator, in a cluster', (cluster) => {
  const home = useTemporaryDirectory('plinth-home');
  const find = () =>
    findCluster({
      kubeconfig: cluster().kubeconfig,
      dataDirectory: home,
      home,
      inCluster: { host: undefined, port: undefined, folder: home },
      clock: systemClock,
    });

  test('waits in a Secret until it is changed; only its place is said', async () => {
    const found = await find();
    if (found.kind !== 'cluster') throw new Error(found.advice);
    const keeper = keepInSecret(found, 'default', systemClock);
    expect([keeper.place, await keeper.isThere()]).toEqual(['Secret default/plinth-admin-password', false]);
    await keeper.write(new Secret('generated'));
    const secret = await cluster().api('GET', '/api/v1/namespaces/default/secrets/plinth-admin-password');
    expect(Buffer.from(secret.body.data.password, 'base64').toString()).toBe('generated');
    expect(await keeper.isThere()).toBe(true);
    await keeper.remove();
    expect(await keeper.isThere()).toBe(false);
  });

  test('a namespace that is not there is told, not passed over', async () => {
    const found = await find();
    if (found.kind !== 'cluster') throw new Error(found.advice);
    await expect(keepInSecret(found, 'nowhere', systemClock).write(new Secret('x'))).rejects.toThrow(
      'there is no namespace nowhere',
    );
  });

  test('outside of a cluster it stays in the data directory', async () => {
    const keeper = await passwordKeeper(await find(), home, systemClock);
    expect(keeper.place).toBe(`${home}/admin-password`);
  });
});
