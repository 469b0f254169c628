import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { repository } from '#scripts/check/source.ts';
import { buildDirectory } from '#scripts/cluster/build.ts';
import { type Api, createClient } from '#scripts/cluster/client.ts';
import { missing } from '#support/cluster.ts';
import { describeUnless } from '#support/missing.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const soon = { interval: 20, timeout: 30_000 };
const namespace = async (api: Api, name: string) =>
  (await api('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })).status;

describeUnless(missing(), 'npm run cluster', () => {
  const home = useTemporaryDirectory('plinth-up');
  const dataDirectory = join(home, 'data');
  const kubeconfig = join(dataDirectory, 'cluster', 'kubeconfig');
  const started: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of started.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  function command(env: Record<string, string> = {}, ...args: string[]) {
    const all = { ...process.env, DATA_DIR: dataDirectory, PLINTH_CACHE: cacheOfBuild(), ...env };
    const child = spawn(process.execPath, ['scripts/cluster.ts', ...args], { cwd: repository, env: all });
    started.push(child);
    let output = '';
    const ended = once(child, 'exit').then(([code]) => ({ code, output }));
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    const ready = async () => {
      while (!output.includes('Ctrl-C ends the cluster')) {
        if (child.exitCode !== null) throw new Error(output);
        await sleep(20);
      }
      return output;
    };
    return { child, ended, ready };
  }

  /** A client from what stands in the kubeconfig and nothing else, as any other program would be. */
  function clientOf(file: string) {
    const { clusters, users } = parse(readFileSync(file, 'utf8'));
    const pem = (data: string) => Buffer.from(data, 'base64').toString();
    return createClient(clusters[0].cluster.server, {
      ca: pem(clusters[0].cluster['certificate-authority-data']),
      cert: pem(users[0].user['client-certificate-data']),
      key: pem(users[0].user['client-key-data']),
    });
  }

  test('starts in the foreground, says where, refuses a second one, ends with Ctrl-C, and continues', async () => {
    const first = command({}, 'up');
    const output = await first.ready();
    expect(output).toContain(`kubeconfig  ${kubeconfig}\n`);
    expect(statSync(kubeconfig).mode & 0o777).toBe(0o600);
    expect(parse(readFileSync(kubeconfig, 'utf8'))['current-context']).toBe('plinth-local');
    const before = clientOf(kubeconfig);
    expect(await namespace(before.api, 'kept')).toBe(201);
    await before.close();

    const second = await command({}, 'up').ended;
    expect(second.code).toBe(1);
    expect(second.output).toBe(
      `a cluster with the state in ${join(dataDirectory, 'cluster')} is running already; stop it, or choose another DATA_DIR\n`,
    );

    const pids = pidsOf(dataDirectory);
    first.child.kill('SIGINT');
    expect((await first.ended).code).toBe(0);
    expect(existsSync(kubeconfig)).toBe(false);
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);

    const third = command({}, 'up');
    await third.ready();
    const after = clientOf(kubeconfig);
    expect((await after.api('GET', '/api/v1/namespaces/kept')).status).toBe(200);
    await after.close();

    // Killed, it leaves no part behind either, and what was acknowledged is there at the next start.
    const last = clientOf(kubeconfig);
    expect(await namespace(last.api, 'kept-too')).toBe(201);
    await last.close();
    const orphans = pidsOf(dataDirectory);
    third.child.kill('SIGKILL');
    await expect.poll(() => orphans.filter((pid) => existsSync(`/proc/${pid}`)), soon).toEqual([]);
    const fourth = command({}, 'up');
    await fourth.ready();
    const again = clientOf(kubeconfig);
    expect((await again.api('GET', '/api/v1/namespaces/kept-too')).status).toBe(200);
    await again.close();
    fourth.child.kill('SIGTERM');
    expect((await fourth.ended).code).toBe(0);
  });

  test('build prints where the tools are', async () => {
    const { code, output } = await command({}, 'build').ended;
    expect([code, output.trim()]).toEqual([0, buildDirectory(cacheOfBuild())]);
  });

  test('another verb is answered with the usage', async () => {
    expect(await command({}, 'down').ended).toEqual({ code: 1, output: 'usage: node scripts/cluster.ts up | build\n' });
  });

  test('without openssl, without Go, and with an old Go it says what to install', async () => {
    const bin = useFolderOf(home, 'openssl');
    const none = await command({ PATH: join(home, 'nothing') }, 'up').ended;
    expect(none).toEqual({
      code: 1,
      output: 'no cluster can be had here: openssl is missing; install the package openssl (apt-get install openssl)\n',
    });
    const nothingBuilt = { PATH: bin, PLINTH_CACHE: join(home, 'empty-cache') };
    expect(await command(nothingBuilt, 'build').ended).toEqual({
      code: 1,
      output:
        'no cluster can be had here: Go is missing; install Go 1.26 or newer and put it on the PATH (see go.dev/doc/install)\n',
    });
    writeFileSync(join(bin, 'go'), '#!/bin/sh\necho go version go1.19.8 linux/amd64\n', { mode: 0o755 });
    expect(await command(nothingBuilt, 'build').ended).toEqual({
      code: 1,
      output: 'no cluster can be had here: Go 1.26 or newer is wanted, here is: go version go1.19.8 linux/amd64\n',
    });
  });
});

const pidsOf = (dataDirectory: string): number[] =>
  Object.values(JSON.parse(readFileSync(join(dataDirectory, 'cluster', 'pids'), 'utf8')));

/** The cache that this run uses, so that a test with another environment does not build anew. */
const cacheOfBuild = () => join(buildDirectory(), '..', '..');

/** A PATH of one folder that holds only these programs of the machine. */
function useFolderOf(home: string, ...programs: string[]): string {
  const folder = join(home, 'bin');
  mkdirSync(folder, { recursive: true });
  for (const program of programs) {
    const found = (process.env.PATH ?? '').split(delimiter).find((entry) => existsSync(join(entry, program)));
    symlinkSync(join(found!, program), join(folder, program));
  }
  return folder;
}
