import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Answer } from '#support/control-plane.ts';
import { runGit } from '#support/git.ts';
import { describeWalk, projectPath, run } from '#support/walk.ts';

const rounds = 8;
const names = ['alpha', 'beta', 'gamma', 'delta'].map((project) => `kills/${project}`);
const spec = (version: number) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  containers: { web: { image: `nginx:v${version}`, port: 8080 } },
});

/** What one project was told, and what was acknowledged of it. */
interface Told {
  sent: number;
  acknowledged: { version: number; id: string }[];
}

describeWalk('kill -9 at any instant', (walk) => {
  const told = new Map<string, Told>(names.map((name) => [name, { sent: 0, acknowledged: [] }]));
  const versionOf = async (name: string): Promise<number> => {
    const path = `/apis/apps/v1/namespaces/local--${name.replace('/', '--')}/deployments/web`;
    const { body } = await walk.cluster.api('GET', path);
    return Number(body.spec?.template.spec.containers[0].image.slice('nginx:v'.length));
  };

  /** Sends one version after the other until the process is gone. */
  const keepPutting = async (name: string) => {
    const mine = told.get(name) as Told; // every name has one
    for (;;) {
      mine.sent += 1;
      const version = mine.sent;
      const answer = await walk.plinth
        .request('PUT', projectPath(name), spec(version))
        .catch((): Pick<Answer, 'status' | 'body'> => ({ status: 0, body: undefined }));
      if (answer.status === 0) return;
      if (answer.status === 202) mine.acknowledged.push({ version, id: answer.body.id });
      await sleep(Math.random() * 40);
    }
  };

  test('loses nothing that was acknowledged, deletes nothing, and is done 5 s after the last start', async () => {
    await Promise.all(names.map((name) => run(walk.plinth, name, spec(0))));
    for (let round = 0; round < rounds; round++) {
      const putting = names.map(keepPutting);
      await sleep(Math.random() * 500);
      await walk.plinth.kill();
      await Promise.all(putting);
      await walk.start();
    }
    const startedMs = performance.now();
    for (const name of names) {
      const { acknowledged, sent } = told.get(name) as Told; // every name has one
      const newest = acknowledged.at(-1)?.version ?? 0;
      const view = await walk.plinth.until(
        projectPath(name),
        (body) =>
          body.phase === 'applied' &&
          body.health === 'healthy' &&
          body.revision === body.appliedRevision &&
          body.change.state !== 'accepted',
      );
      const version = Number(view.images[0].image.slice('nginx:v'.length));
      // What was sent last may have come in without its answer.
      expect(version).toBeGreaterThanOrEqual(newest);
      expect(version).toBeLessThanOrEqual(sent);
      expect(await versionOf(name)).toBe(version);
    }
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  test('every acknowledged change has its own commit, once, in the order of its project', async () => {
    const state = join(walk.directory, 'data/state.git');
    const git = async (...args: string[]) => (await runGit(walk.directory, ['--git-dir', state, ...args])).stdout;
    const written = (await git('log', '--reverse', '--format=%(trailers:key=Plinth-Change,valueonly)', 'main'))
      .split('\n')
      .filter(Boolean);
    expect(new Set(written).size).toBe(written.length);
    for (const { acknowledged } of told.values()) {
      const ids = acknowledged.map(({ id }) => id);
      expect(ids.filter((id) => !written.includes(id))).toEqual([]);
      expect(written.filter((id) => ids.includes(id))).toEqual(ids);
      for (const id of ids)
        expect((await walk.plinth.request('GET', `/api/v1/changes/${id}`)).body).toMatchObject({ state: 'committed' });
    }
    expect((await runGit(walk.directory, ['--git-dir', state, 'fsck', '--strict'])).code).toBe(0);
  });

  test('no object was deleted', async () => {
    const entries = (await walk.cluster.auditLog?.entries()) ?? [];
    const ours = entries.filter(({ namespace, name }) => `${namespace}${name}`.includes('local--kills--'));
    expect(ours.some(({ verb }) => verb === 'patch')).toBe(true);
    expect(ours.filter(({ verb }) => verb.startsWith('delete'))).toEqual([]);
  });
});
