import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { describeWalk, endOf, eventually, smallest } from '#support/walk.ts';

/** environment.yaml of an environment on the cluster `shared`. */
const onShared = (domain: string) => `apiVersion: plinth.dev/v1
kind: Environment
runtime: kubernetes
cluster: shared
domain: ${domain}
`;
const path = (environment: string) => `/api/v1/environments/${environment}/projects/cities/web`;
const tokenCanary = 'canary-2c11-token';

describeWalk('environments on a cluster that a secret names', (walk) => {
  const runtimeOf = async (environment: string) =>
    (await walk.plinth.request('GET', `/api/v1/environments/${environment}`)).body.runtime;
  const runs = async (environment: string) =>
    await walk.plinth.until(path(environment), ({ phase, health }) => phase === 'applied' && health === 'healthy');
  const give = async (value: string) =>
    expect((await walk.plinth.request('PUT', '/api/v1/secrets/cluster-shared', { value })).status).toBe(200);

  test('wait for it, and run as soon as it is there, side by side', async () => {
    const clone = await walk.clone();
    const pushed = await clone.push({
      'environments/dev/environment.yaml': onShared('dev.apps.localhost'),
      'environments/staging/environment.yaml': onShared('staging.apps.localhost'),
    });
    expect(pushed.stderr).not.toContain('rejected');
    const waiting = await eventually(
      () => runtimeOf('dev'),
      ({ because }) => because.includes('cluster-shared'),
    );
    expect(waiting).toMatchObject({ kind: 'none', connected: false });
    for (const environment of ['dev', 'staging'])
      await endOf(walk.plinth, await walk.plinth.request('PUT', path(environment), smallest));

    await give(readFileSync(walk.cluster.kubeconfig, 'utf8'));
    for (const environment of ['dev', 'staging']) {
      await runs(environment);
      expect(await runtimeOf(environment)).toMatchObject({ kind: 'kubernetes', connected: true });
      const { status } = await walk.cluster.api('GET', `/api/v1/namespaces/${environment}--cities--web`);
      expect(status).toBe(200);
    }
  });

  test('credentials that no longer work are told without a value; new ones count at once', async () => {
    const config = parse(readFileSync(walk.cluster.kubeconfig, 'utf8'));
    config.users[0].user = { token: tokenCanary };
    await give(stringify(config));
    const namespaceOf = (environment: string) => `/api/v1/namespaces/${environment}--cities--web`;
    await walk.plinth.request('PUT', path('dev'), smallest.replace('8080', '8081'));
    await walk.plinth.until(path('dev'), ({ problem }) => problem !== null);
    await give(readFileSync(walk.cluster.kubeconfig, 'utf8'));
    await runs('dev');
    expect((await walk.cluster.api('GET', namespaceOf('dev'))).status).toBe(200);
    expect(walk.plinth.log()).not.toContain(tokenCanary);
  });

  test('a project that leaves one environment leaves the other alone', async () => {
    const leaving = await walk.plinth.request('DELETE', `${path('staging')}?confirm=cities/web`);
    await endOf(walk.plinth, leaving);
    const namespace = (environment: string) =>
      walk.cluster.api('GET', `/api/v1/namespaces/${environment}--cities--web`);
    await eventually(
      () => namespace('staging'),
      ({ status }) => status === 404,
    );
    expect((await namespace('dev')).status).toBe(200);
    expect((await walk.plinth.request('GET', path('dev'))).body).toMatchObject({ phase: 'applied' });
  });
});
