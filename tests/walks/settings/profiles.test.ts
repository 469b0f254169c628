import { copyFileSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { describeWithCluster } from '#support/cluster.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { provideDatabase, startFixture, tableOwners } from './start-fixture.ts';

const db = useDatabase();
const bundled = { user: 'tesslate', password: 'tesslate', name: 'tesslate' };
const provideBundled = async () => {
  const { address, database } = await provideDatabase(db, bundled);
  return { map: { 'postgres:5432': address }, database };
};

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('the first reference: Docker', () => {
  test('boots as printed: its database, its ports, its log level; Git is written and nothing is started', async () => {
    const { map, database } = await provideBundled();
    const [api, page] = [await freePort(), await freePort()];
    const ports = `BACKEND_PORT=${api}\nFRONTEND_PORT=${page}\nMETRICS_PORT=0\n`;
    const { plinth, said, local, hasEmbeddedDatabase } = await startFixture('docker', { map, ports });
    expect(plinth.url).toBe(`http://127.0.0.1:${api}`);
    expect(plinth.consoleUrl).toBe(`http://127.0.0.1:${page}`);
    expect(hasEmbeddedDatabase()).toBe(false);
    expect(await tableOwners(database)).toEqual(['tesslate']);
    // DEBUG: reads are logged too.
    expect(plinth.log()).toMatch(/"level":"debug".*"route":"listEnvironments"/);
    expect(parse(await local())).toMatchObject({ runtime: 'none', domain: 'apps.localhost' });
    expect(await local()).toContain('runtime: none # set by DEPLOYMENT_MODE\n');
    expect(said()).toContain('DEPLOYMENT_MODE is docker, whose runtime does not exist yet');
    expect(said()).toContain('SECRET_KEY is an example that everybody knows');
    expect(said()).toContain('Understood, not active yet: LITELLM_API_BASE');
    expect(said()).not.toContain('your-dev-secret-key');
  });
});

describe('the first reference: Kubernetes', () => {
  test('the Minikube profile boots, and its settings stand in environment.yaml', async () => {
    const { map, database } = await provideBundled();
    const { local, hasEmbeddedDatabase } = await startFixture('minikube', { map });
    expect(hasEmbeddedDatabase()).toBe(false);
    expect(await tableOwners(database)).toEqual(['tesslate']);
    expect(await local()).toBe(`apiVersion: plinth.dev/v1
kind: Environment
runtime: kubernetes # set by DEPLOYMENT_MODE
domain: apps.localhost
storage:
  class: standard # set by K8S_STORAGE_CLASS
image: tesslate-devserver:latest # set by K8S_DEVSERVER_IMAGE
`);
  });

  test('the EKS profile boots, with the sections that it names', async () => {
    const { map } = await provideBundled();
    const registry = { '<ECR_URL>': 'registry.example.com' };
    const { local, said, plinth } = await startFixture('eks', { map: { ...map, ...registry } });
    expect(await local()).toBe(`apiVersion: plinth.dev/v1
kind: Environment
runtime: kubernetes # set by DEPLOYMENT_MODE
domain: apps.studio.yourcompany.com # set by PROJECTS_DOMAIN or APP_DOMAIN
storage:
  class: tesslate-block-storage # set by K8S_STORAGE_CLASS
  snapshotClass: tesslate-ebs-snapshots # set by K8S_SNAPSHOT_CLASS
  affinity: true # set by K8S_ENABLE_POD_AFFINITY
ingress:
  class: nginx # set by K8S_INGRESS_CLASS
  tlsSecret: tesslate-wildcard-tls # set by K8S_WILDCARD_TLS_SECRET
network:
  policies: true # set by K8S_ENABLE_NETWORK_POLICIES
image: registry.example.com/tesslate-devserver:latest # set by K8S_DEVSERVER_IMAGE
pullSecret: ecr-credentials # set by K8S_IMAGE_PULL_SECRET
`);
    // The cookie's domain reaches the projects: it is not used, and said once.
    expect(said().match(/COOKIE_DOMAIN \.studio\.yourcompany\.com reaches/g)?.length).toBe(1);
    // INFO: reads are not logged.
    expect(plinth.log()).not.toContain('"level":"debug"');
  });
});

describeWithCluster('the first reference: Minikube with its cluster', (cluster) => {
  const home = useTemporaryDirectory('plinth-home');

  test('the cluster of ~/.kube/config is the runtime of local', async () => {
    const { map } = await provideBundled();
    mkdirSync(join(home, '.kube'));
    copyFileSync(cluster().kubeconfig, join(home, '.kube/config'));
    const { plinth } = await startFixture('minikube', { map, environment: { HOME: home } });
    const { body } = await plinth.request('GET', '/api/v1/environments/local');
    expect(body.runtime).toMatchObject({ kind: 'kubernetes', connected: true });
    expect(plinth.output()).toMatch(/^ {4}local +kubernetes +.* found in .*\/\.kube\/config$/m);
  });
});
