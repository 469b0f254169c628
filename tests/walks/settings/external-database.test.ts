import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startControlPlane } from '#support/control-plane.ts';
import { useDatabase } from '#support/postgres.ts';
import { openPostgresPort } from '#support/postgres-port.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { endOf, smallest } from '#support/walk.ts';
import { provideDatabase } from './start-fixture.ts';

const db = useDatabase();
const dev = (name: string) => `/api/v1/environments/dev/projects/shop/${name}`;

test('a database that comes late, goes away and comes back: nothing that was acknowledged is lost', async () => {
  const user = { user: 'late', password: 'p@ss/wörd', name: 'late' };
  await provideDatabase(db, user);
  const { path, remove } = temporaryDirectory('plinth-external');
  onTestFinished(remove);
  // In the database's place: somebody who hangs up.
  let hungUp = 0;
  const nobody = createServer((socket) => {
    hungUp += 1;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const { port } = nobody.address() as AddressInfo; // a listening TCP server has one
  const envFile = `DATABASE_URL=postgresql://late:${encodeURIComponent(user.password)}@127.0.0.1:${port}/late\n`;
  const starting = startControlPlane({ dataDirectory: join(path, 'data'), envFile });
  await expect.poll(() => hungUp, { timeout: 30_000, interval: 10 }).toBeGreaterThan(0);
  nobody.close();
  let server = await openPostgresPort(db.connection, { port });
  const plinth = await starting;
  onTestFinished(async () => {
    await plinth.stop();
    await server.close();
  });
  expect(plinth.log()).toContain('the database does not answer; it is tried again');
  await endOf(plinth, await plinth.request('PUT', dev('before'), smallest));

  await server.close();
  await expect.poll(async () => (await plinth.request('GET', '/ready')).status, { timeout: 20_000 }).toBe(503);
  const away = await plinth.request('PUT', dev('away'), smallest);
  expect(away.status).toBe(503);
  expect(away.body.code).toBe('DATABASE_UNAVAILABLE');

  server = await openPostgresPort(db.connection, { port });
  await expect.poll(async () => (await plinth.request('GET', '/ready')).status, { timeout: 20_000 }).toBe(200);
  const change = await endOf(plinth, await plinth.request('PUT', dev('after'), smallest));
  expect(change.state).toBe('committed');
  for (const name of ['before', 'after']) expect((await plinth.request('GET', dev(name))).status).toBe(200);
  expect(plinth.process.exitCode).toBe(null);
  expect(plinth.log() + plinth.output()).not.toContain(encodeURIComponent(user.password));
});
