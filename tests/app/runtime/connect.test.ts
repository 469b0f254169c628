import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { type FindOptions, findCluster, isPlainlyLocal } from '#runtime/kubernetes/connect.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const root = useTemporaryDirectory('plinth-connect');
let count = 0;

/** Fresh empty places to look in. */
function places(): FindOptions & { readonly folder: string } {
  count += 1;
  const folder = join(root, String(count));
  for (const sub of ['data/cluster', 'home/.kube', 'account']) mkdirSync(join(folder, sub), { recursive: true });
  return {
    folder,
    dataDirectory: join(folder, 'data'),
    home: join(folder, 'home'),
    inCluster: { host: undefined, port: undefined, folder: join(folder, 'account') },
    clock: systemClock,
  };
}

const kubeconfig = (context: string, server: string, user = '{token: abc}', cluster = '') => `apiVersion: v1
kind: Config
current-context: ${context}
clusters: [{name: c, cluster: {server: "${server}"${cluster}}}]
users: [{name: u, user: ${user}}]
contexts: [{name: ${context}, context: {cluster: c, user: u}}]
`;

const local = 'https://127.0.0.1:6443';
const remote = 'https://203.0.113.7:6443';

function write(path: string, text: string): string {
  writeFileSync(path, text);
  return path;
}

test('nothing anywhere: says what to do in one line', async () => {
  expect(await findCluster(places())).toEqual({
    kind: 'none',
    advice: 'Run `npm run cluster` in another terminal for a local one, or set KUBECONFIG; then start again.',
  });
});

test('a kubeconfig that the setting names and that is not there', async () => {
  const options = { ...places(), kubeconfig: '/nowhere/config' };
  expect(await findCluster(options)).toEqual({
    kind: 'none',
    advice: 'KUBECONFIG names /nowhere/config, which is no file; correct it or unset it.',
  });
});

test('looks in order: the setting, our own cluster, the account of the pod, the home folder', async () => {
  const given = places();
  const { folder, dataDirectory, home } = given;
  const personal = write(join(home, '.kube/config'), kubeconfig('minikube', 'https://192.168.49.2:8443'));
  expect(await findCluster(given)).toMatchObject({
    kind: 'cluster',
    name: 'minikube',
    source: 'kubeconfig',
    path: personal,
  });

  write(join(folder, 'account/token'), 'pod-token\n');
  write(join(folder, 'account/ca.crt'), 'CA');
  const inCluster = { host: 'fd00::1', port: '443', folder: join(folder, 'account') };
  const inPod = await findCluster({ ...given, inCluster });
  expect(inPod).toMatchObject({
    kind: 'cluster',
    name: 'in-cluster',
    server: 'https://[fd00::1]:443',
    source: 'in-cluster',
  });
  if (inPod.kind === 'cluster') {
    expect(await inPod.credentials.authorization()).toBe('Bearer pod-token');
    expect(inPod.credentials.tls()).toEqual({ ca: 'CA' });
  }

  const own = write(join(dataDirectory, 'cluster/kubeconfig'), kubeconfig('plinth-local', local));
  expect(await findCluster({ ...given, inCluster })).toMatchObject({ name: 'plinth-local', path: own });

  const named = write(join(folder, 'named'), kubeconfig('kind-one', local));
  expect(await findCluster({ ...given, inCluster, kubeconfig: named })).toMatchObject({
    name: 'kind-one',
    path: named,
  });
});

test('a cluster that is not plainly local needs a yes that names its context', async () => {
  const given = places();
  const path = write(join(given.home, '.kube/config'), kubeconfig('prod', remote));
  const refused = {
    kind: 'refused',
    context: 'prod',
    server: remote,
    path,
    advice: 'It is not plainly a local one. If Plinth may use it, set CLUSTER_CONSENT=prod.',
  };
  expect(await findCluster(given)).toEqual(refused);
  expect(await findCluster({ ...given, consent: 'other' })).toEqual(refused);
  expect(await findCluster({ ...given, kubeconfig: path })).toEqual(refused);
  expect(await findCluster({ ...given, consent: 'prod' })).toMatchObject({
    kind: 'cluster',
    name: 'prod',
    server: remote,
  });
});

test.each<[string, string, boolean]>([
  ['anything', 'https://127.0.0.1:1', true],
  ['anything', 'https://127.9.8.7:1', true],
  ['anything', 'https://[::1]:1', true],
  ['anything', 'https://localhost:1', true],
  ['anything', 'https://localhost.example.com:1', false],
  ['anything', 'https://10.0.0.1:1', false],
  ['minikube', 'https://192.168.49.2:8443', true],
  ['minikube', remote, false],
  ['kind-dev', 'https://172.18.0.2:6443', true],
  ['kind-of-production', 'https://api.example.com', false],
  ['k3d-x', 'https://10.1.1.1:6443', true],
  ['docker-desktop', 'https://kubernetes.docker.internal:6443', true],
  ['plinth-local', local, true],
  ['production', 'https://127.example.com', false],
])('context %s at %s is plainly local: %s', (context, server, wanted) => {
  expect(isPlainlyLocal(context, server)).toBe(wanted);
});

test.each<[string, string, string]>([
  ['no YAML', 'users: [{token: topsecret', 'cannot be used'],
  ['no current context', 'apiVersion: v1\n', 'it has no current-context'],
  ['an unknown context', 'current-context: x\ncontexts: []\n', 'it names context "x", which it does not hold'],
  [
    'no server',
    'current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {}}]\n',
    'the cluster of context x has no server address',
  ],
  ['a missing certificate', kubeconfig('kind-x', local, '{client-certificate: none.crt}'), 'ENOENT'],
])('a broken kubeconfig is told, not thrown: %s', async (_, text, why) => {
  const given = places();
  const path = write(join(given.folder, 'broken'), text);
  const found = await findCluster({ ...given, kubeconfig: path });
  expect(found).toMatchObject({ kind: 'none', advice: expect.stringContaining(why) });
  expect(found).toMatchObject({ advice: expect.stringContaining(`The kubeconfig ${path} cannot be used: `) });
  expect(JSON.stringify(found)).not.toContain('topsecret');
});

test('reads certificates from data or files, relative to the kubeconfig, and passwords', async () => {
  const given = places();
  write(join(given.folder, 'ca.crt'), 'CA');
  write(join(given.folder, 'me.crt'), 'CERT');
  const base64 = Buffer.from('KEY').toString('base64');
  const user = `{client-certificate: me.crt, client-key-data: ${base64}, username: ann, password: pw}`;
  const path = write(
    join(given.folder, 'config'),
    kubeconfig('kind-x', local, user, ', certificate-authority: ca.crt, tls-server-name: api.test'),
  );
  const found = await findCluster({ ...given, kubeconfig: path });
  if (found.kind !== 'cluster') throw new Error(found.advice);
  const { key, ...tls } = found.credentials.tls();
  expect(tls).toEqual({ ca: 'CA', cert: 'CERT', servername: 'api.test' });
  expect(key?.reveal()).toBe('KEY');
  expect(JSON.stringify(found.credentials.tls())).not.toContain('KEY');
  expect(await found.credentials.authorization()).toBe(`Basic ${Buffer.from('ann:pw').toString('base64')}`);
});

test('several files are read as one, the first that says something wins', async () => {
  const given = places();
  const first = write(join(given.folder, 'one'), 'current-context: kind-b\n');
  const second = write(join(given.folder, 'two'), kubeconfig('kind-b', local, '{token: two}'));
  const third = write(join(given.folder, 'three'), kubeconfig('kind-c', local, '{token: three}'));
  const found = await findCluster({ ...given, kubeconfig: [first, '/nowhere', second, third].join(':') });
  if (found.kind !== 'cluster') throw new Error(found.advice);
  expect(found.name).toBe('kind-b');
  expect(await found.credentials.authorization()).toBe('Bearer two');
});

test('a token in a file is read again when a minute passed, and at once when it was refused', async () => {
  const given = places();
  const token = write(join(given.folder, 'token'), 'one');
  const path = write(join(given.folder, 'config'), kubeconfig('kind-x', local, `{tokenFile: ${token}}`));
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const found = await findCluster({ ...given, clock, kubeconfig: path });
  if (found.kind !== 'cluster') throw new Error(found.advice);
  const { credentials } = found;
  const identity = credentials.tls();
  write(token, 'two');
  nowMs = 59_000;
  expect(await credentials.authorization()).toBe('Bearer one');
  nowMs = 61_000;
  expect(await credentials.authorization()).toBe('Bearer two');
  write(token, 'three');
  expect(await credentials.refresh()).toBe(true);
  expect(await credentials.authorization()).toBe('Bearer three');
  expect(await credentials.refresh()).toBe(false);
  expect(credentials.tls()).toBe(identity);
});

test('an exec plugin is run only after a yes, by the official client', async () => {
  const given = places();
  const credential =
    '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-plugin"}}';
  const mark = join(given.folder, 'ran');
  const script = `echo ran >> ${mark}; echo '${credential}'`;
  const user = JSON.stringify({
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: '/bin/sh',
      args: ['-c', script],
      interactiveMode: 'Never',
    },
  });
  const path = write(join(given.folder, 'config'), kubeconfig('cloud', remote, user));
  const { existsSync } = await import('node:fs');
  expect((await findCluster({ ...given, kubeconfig: path })).kind).toBe('refused');
  expect(existsSync(mark)).toBe(false);
  const found = await findCluster({ ...given, kubeconfig: path, consent: 'cloud' });
  if (found.kind !== 'cluster') throw new Error(found.advice);
  expect(await found.credentials.authorization()).toBe('Bearer from-plugin');
});
