import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { claimDataDirectory } from '#base/data-directory.ts';
import { startProcess } from '#support/child-process.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const temporary = useTemporaryDirectory();
let count = 0;
const newPath = () => join(temporary, `data-${count++}`);
const clock = systemClock;
const claimer = new URL('./claim.process.ts', import.meta.url);
const modeOf = (path: string) => statSync(path).mode & 0o777;

test('the directory is made for its owner alone, its parents are ordinary', async () => {
  const path = join(newPath(), 'deep', '.plinth');
  const claim = await claimDataDirectory(path, { clock });
  expect(modeOf(path)).toBe(0o700);
  expect(modeOf(join(path, '..'))).toBe(0o777 & ~process.umask());
  claim.release();
});

test.skipIf(process.getuid?.() !== 0)(
  'as root a group may pass through a new one, and an old one stays as it is',
  async () => {
    const path = newPath();
    (await claimDataDirectory(path, { clock, group: 65534 })).release();
    expect(modeOf(path)).toBe(0o710);
    expect(statSync(path).gid).toBe(65534);
    const old = newPath();
    (await claimDataDirectory(old, { clock })).release();
    (await claimDataDirectory(old, { clock, group: 65534 })).release();
    expect(modeOf(old)).toBe(0o700);
  },
);

test('a second claim is refused with the pid of the first, and let in after its release', async () => {
  const path = newPath();
  const first = await claimDataDirectory(path, { clock });
  await expect(claimDataDirectory(path, { clock })).rejects.toMatchObject({
    code: 'DATA_DIR_IN_USE',
    message: `Data directory ${path} is in use by process ${process.pid}. Stop it, or choose another DATA_DIR.`,
  });
  first.release();
  first.release();
  (await claimDataDirectory(path, { clock })).release();
});

test('another process holds it until it dies, also by kill -9', async () => {
  const path = newPath();
  const other = startProcess(claimer, [path]);
  expect(await other.line()).toBe('claimed');
  await expect(claimDataDirectory(path, { clock })).rejects.toMatchObject({ data: { pid: String(other.pid) } });
  await other.kill('SIGKILL');
  (await claimDataDirectory(path, { clock })).release();
});

test('a pid that belongs to another process by now keeps nobody out', async () => {
  const path = newPath();
  (await claimDataDirectory(path, { clock })).release();
  writeFileSync(join(path, 'pid'), `${process.ppid}\n`);
  (await claimDataDirectory(path, { clock })).release();
});

test('of many starts at once exactly one gets it, and the others name it', async () => {
  const path = newPath();
  const all = Array.from({ length: 6 }, () => startProcess(claimer, [path]));
  const said = await Promise.all(all.map((child) => child.line()));
  const winners = all.filter((_, index) => said[index] === 'claimed');
  expect(winners).toHaveLength(1);
  expect(said.filter((line) => line === `DATA_DIR_IN_USE ${winners[0]?.pid}`)).toHaveLength(5);
});

test('a directory that cannot be made is named at once', async () => {
  writeFileSync(join(temporary, 'a-file'), '');
  const path = join(temporary, 'a-file', 'data');
  await expect(claimDataDirectory(path, { clock })).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
});

test.skipIf(process.platform !== 'linux')('neither is it tried for ever where nothing can be made', async () => {
  await expect(claimDataDirectory('/proc/nope', { clock })).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
});
