import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { useDatabase } from '#support/postgres.ts';
import { provideDatabase, startFixture, tableOwners } from './start-fixture.ts';

const db = useDatabase();

describe('the second reference', () => {
  test('quickstart: one variable, everything else is made', async () => {
    const { plinth, dataDirectory, hasEmbeddedDatabase, local } = await startFixture('quickstart');
    expect(hasEmbeddedDatabase()).toBe(true);
    expect(readFileSync(join(dataDirectory, 'auth-secret'), 'utf8')).toMatch(/^[0-9a-f]{64}$/);
    // Nothing that shapes manifests was set: nothing was committed.
    expect(await local()).toBe(readFileSync('environments/local/environment.yaml', 'utf8'));
    expect(await plinth.metrics()).toContain('plinth_http_request_seconds');
  });

  test('external database: the address alone is enough, and no other database is made', async () => {
    const { address, database } = await provideDatabase(db, { user: 'user', password: 'password', name: 'database' });
    const { hasEmbeddedDatabase, said } = await startFixture('external-database', { map: { 'host:5432': address } });
    expect(hasEmbeddedDatabase()).toBe(false);
    expect(await tableOwners(database)).toEqual(['user']);
    expect(said()).not.toContain('user:password');
  });

  test('Vertex: understood, and said to wait for its feature', async () => {
    const { said } = await startFixture('vertex');
    const names = ['ENABLED', 'PROJECT', 'LOCATION', 'CREDENTIALS_FILE'].map(
      (name) => `ARCHESTRA_GEMINI_VERTEX_AI_${name}`,
    );
    expect(said()).toContain(`Understood, not active yet: ${names.join(', ')}. Waits for: LLM proxy.`);
  });
});
