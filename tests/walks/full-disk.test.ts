import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startControlPlane } from '#support/control-plane.ts';
import { runGit, whyNoSmallDisk } from '#support/git.ts';
import { describeUnless } from '#support/missing.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { endOf, eventually, smallest } from '#support/walk.ts';

/** Nothing runs in `dev`, so that no cluster is needed. */
const path = '/api/v1/environments/dev/projects/starts/one';

describeUnless(whyNoSmallDisk(), 'a full disk', () => {
  test('a change waits while there is no space, half of nothing is written, and it is committed when there is', async () => {
    const { path: directory, remove } = temporaryDirectory('plinth-disk');
    onTestFinished(remove);
    const folder = join(directory, 'data');
    const state = join(folder, 'state.git');
    await (await startControlPlane({ dataDirectory: folder })).stop();
    renameSync(state, `${state}.made`);
    mkdirSync(state);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', state]);
    onTestFinished(() => {
      execFileSync('umount', ['--lazy', state]);
    });
    cpSync(`${state}.made`, state, { recursive: true });
    const plinth = await startControlPlane({ dataDirectory: folder });
    onTestFinished(async () => {
      await plinth.stop();
    });
    expect((await endOf(plinth, await plinth.request('PUT', path, smallest))).state).toBe('committed');
    const before = (await plinth.request('GET', path)).body.revision;
    const filler = join(state, 'filler');
    const { bavail, bsize } = statfsSync(state);
    writeFileSync(filler, Buffer.alloc(bavail * bsize));

    const large = `${smallest}# ${'x'.repeat(100_000)}\n`;
    const accepted = await plinth.request('PUT', path, large);
    expect(accepted.status, accepted.text).toBe(202);
    expect((await plinth.request('GET', `/api/v1/changes/${accepted.body.id}?wait=1`)).body.state).toBe('accepted');
    expect((await plinth.request('GET', path)).body.revision).toBe(before);
    await eventually(
      async () => plinth.log(),
      (log) => log.includes('DISK_FULL') || log.includes('No space is left'),
    );
    const git = (...args: string[]) => runGit(folder, ['--git-dir', state, ...args]);
    const { code, stdout, stderr } = await git('fsck', '--strict');
    expect(code, stdout + stderr).toBe(0);
    expect((await git('rev-parse', 'main')).stdout.trim()).toBe(before);

    rmSync(filler);
    const change = await eventually(
      async () => (await plinth.request('GET', `/api/v1/changes/${accepted.body.id}?wait=20`)).body,
      ({ state: now }) => now === 'committed',
      40_000,
    );
    expect((await git('rev-parse', 'main')).stdout.trim()).toBe(change.revision);
    expect((await git('show', `main:environments/dev/starts/one/project.yaml`)).stdout).toBe(large);
    expect((await git('fsck', '--strict')).code).toBe(0);
  });
});
