import { randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readOrMake } from '#base/once-file.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const folder = useTemporaryDirectory();

test('everyone gets the content that was there first, and nothing else is left behind', async () => {
  const path = join(folder, 'key');
  const got = await Promise.all(Array.from({ length: 8 }, () => readOrMake(path, () => randomBytes(32))));
  expect(new Set(got.map((bytes) => bytes.toString('hex'))).size).toBe(1);
  expect(got[0]).toHaveLength(32);
  expect(readdirSync(folder)).toEqual(['key']);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await readOrMake(path, () => Buffer.from('never'))).toEqual(got[0]);
});

test('what cannot be written is an error and leaves nothing', async () => {
  await expect(readOrMake(join(folder, 'absent', 'key'), () => randomBytes(32))).rejects.toMatchObject({
    code: 'ENOENT',
  });
  expect(readdirSync(folder)).toEqual(['key']);
});
