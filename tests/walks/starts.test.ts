import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isAlive } from '#base/data-directory.ts';
import { admin, type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { endOf, smallest } from '#support/walk.ts';

const main = fileURLToPath(new URL('../../app/main.ts', import.meta.url));
/** Nothing runs in `dev`, so that no cluster is needed. */
const path = (name: string) => `/api/v1/environments/dev/projects/${name}`;
const putHere = async (plinth: ControlPlane, name: string, spec: string) =>
  await endOf(plinth, await plinth.request('PUT', path(name), spec));

/** A folder of one test, gone with it. */
function dataFolder(): string {
  const { path: folder, remove } = temporaryDirectory('plinth-start');
  onTestFinished(remove);
  return join(folder, 'data');
}

async function started(dataDirectory: string): Promise<ControlPlane> {
  const plinth = await startControlPlane({ dataDirectory });
  onTestFinished(async () => {
    await plinth.stop();
  });
  return plinth;
}

/** The process as a person starts it, whether or not it comes up. */
function begin(dataDirectory: string, environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: dataDirectory,
      DATA_DIR: dataDirectory,
      API_PORT: '0',
      CONSOLE_PORT: '0',
      METRICS_PORT: '0',
      AUTH_ADMIN_PASSWORD: admin.password,
      ...environment,
    },
  });
  const said = text(child.stderr);
  child.stdout.resume();
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const ended = once(child, 'exit').then(
    ([code, signal]) => ({ code, signal }) as { code: number | null; signal: string | null },
  );
  return { child, said, ended };
}

const postmaster = (dataDirectory: string): number => {
  const file = join(dataDirectory, 'postgres/data/postmaster.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0;
};

describe('starts and ends', () => {
  test('a second start on the same data refuses and names the first; the first goes on', async () => {
    const folder = dataFolder();
    const first = await started(folder);
    const second = begin(folder);
    expect((await second.ended).code).toBe(1);
    expect(await second.said).toContain(
      `Data directory ${folder} is in use by process ${first.process.pid}. Stop it, or choose another DATA_DIR.`,
    );
    expect((await putHere(first, 'starts/one', smallest)).state).toBe('committed');
  });

  test('a port that is taken is named with its setting, and nothing is left behind', async () => {
    const folder = dataFolder();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => {
      taken.close();
    });
    const { port } = taken.address() as AddressInfo; // it listens on TCP
    for (const setting of ['API_PORT', 'METRICS_PORT']) {
      const { ended, said } = begin(folder, { [setting]: String(port) });
      expect((await ended).code).toBe(1);
      expect(await said).toContain(`Port ${port} on 127.0.0.1 is taken. Set ${setting} to another one.`);
      expect(isAlive(postmaster(folder))).toBe(false);
    }
    const after = await started(folder);
    expect((await after.request('GET', '/ready')).body.ready).toBe(true);
  });

  test('settings that are wrong come all at once', async () => {
    const { ended, said } = begin(dataFolder(), { API_PORT: 'many', HOST: 'everywhere' });
    expect((await ended).code).toBe(1);
    expect(await said).toMatch(
      /API_PORT is "many".*\n.*HOST is "everywhere"|HOST is "everywhere".*\n.*API_PORT is "many"/,
    );
  });

  test('SIGTERM at any moment of the start ends in order, with no process left and good data', async () => {
    const folder = dataFolder();
    for (const afterMs of [150, 400, 700, 1000, 1500]) {
      const { child, ended, said } = begin(folder);
      await sleep(afterMs);
      child.kill('SIGTERM');
      const { code, signal } = await ended;
      // Before its modules are loaded, Node itself answers the signal; nothing has been touched then.
      expect(code === 0 || signal === 'SIGTERM', `${code} ${signal} ${await said}`).toBe(true);
      expect(isAlive(postmaster(folder))).toBe(false);
    }
    const after = await started(folder);
    expect((await putHere(after, 'starts/one', smallest)).state).toBe('committed');
    expect(await after.stop()).toBe(0);
    expect(isAlive(postmaster(folder))).toBe(false);
  });

  test('SIGTERM lets the request under way end, and keeps what was accepted for the next start', async () => {
    const folder = dataFolder();
    const first = await started(folder);
    const answers = Array.from({ length: 10 }, (_, i) =>
      first.request('PUT', path(`starts/at-the-end-${i}`), smallest).catch(() => undefined),
    );
    await Promise.race(answers);
    expect(await first.stop()).toBe(0);
    const accepted = (await Promise.all(answers)).filter((answer) => answer?.status === 202);
    expect(accepted.length).toBeGreaterThan(0);
    const next = await started(folder);
    for (const answer of accepted)
      expect((await next.request('GET', `/api/v1/changes/${answer?.body.id}?wait=10`)).body).toMatchObject({
        state: 'committed',
      });
  });
});
