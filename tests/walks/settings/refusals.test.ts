import { expect, onTestFinished, test } from 'vitest';
import { useDatabase } from '#support/postgres.ts';
import { openPostgresPort } from '#support/postgres-port.ts';
import { startAndEnd } from './start-and-end.ts';
import { fixture } from './start-fixture.ts';

const db = useDatabase();

test('a database that refuses ends the start at once, with what to do, and no other one is made', async () => {
  const port = await openPostgresPort(db.connection);
  onTestFinished(() => port.close());
  const envFile = fixture('external-database').replace('host:5432', `127.0.0.1:${port.port}`);
  const { code, said, hasEmbeddedDatabase } = await startAndEnd(envFile);
  expect(code).toBe(1);
  expect(said).toContain(
    `Plinth cannot start. The database database at 127.0.0.1, port ${port.port}, cannot be used: password authentication failed for user "user". Correct user and password in DATABASE_URL.`,
  );
  expect(said).not.toContain('user:password');
  expect(hasEmbeddedDatabase).toBe(false);
});

test('a value that environment.yaml cannot hold ends the start with the name of its setting', async () => {
  const { code, said } = await startAndEnd('APP_DOMAIN=example.com\nPROJECTS_DOMAIN=dev.apps.localhost\n');
  expect(code).toBe(1);
  expect(said).toContain('PROJECTS_DOMAIN');
  expect(said).toContain('domain dev.apps.localhost belongs to environment dev; give each its own');
});

test('a stop while the database is waited for ends the start, before its time is over', async () => {
  const envFile = 'DATABASE_URL=postgresql://user:password@127.0.0.1:9/plinth\n';
  const { said, hasEmbeddedDatabase } = await startAndEnd(envFile, 'the database does not answer; it is tried again');
  expect(said).not.toContain('cannot be reached; it was tried for');
  expect(hasEmbeddedDatabase).toBe(false);
});
