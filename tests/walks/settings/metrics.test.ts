import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFixture } from './start-fixture.ts';

test('/metrics is closed without the secret, which is generated and named by its place', async () => {
  const { plinth, dataDirectory } = await startFixture('quickstart');
  const [, url] = /Metrics\s+(http:\S+)/.exec(plinth.output()) ?? [];
  const secret = readFileSync(join(dataDirectory, 'metrics-secret'), 'utf8');
  const ask = async (authorization?: string) =>
    (await fetch(url ?? '', { headers: authorization === undefined ? {} : { authorization } })).status;
  expect(await ask()).toBe(401);
  expect(await ask('Bearer archestra-metrics-secret')).toBe(401);
  expect(await ask(`Bearer ${secret}`)).toBe(200);
  expect(plinth.output()).toContain(join(dataDirectory, 'metrics-secret'));
  expect(plinth.output() + plinth.log()).not.toContain(secret);
});
