import { expect, test } from 'vitest';
import { useDatabase } from '#support/postgres.ts';
import { describeWithVault, type TestVault } from '#support/vault.ts';
import { put } from '#support/walk.ts';
import { startAndEnd } from './start-and-end.ts';
import { fixture, provideDatabase, startFixture, tableOwners } from './start-fixture.ts';

const db = useDatabase();
const canary = 'canary-value-of-this-test';
const api = '/api/v1/environments/local/projects/shop/one';
const spec = `apiVersion: plinth.dev/v1
kind: Project
containers:
  web: { image: "nginxinc/nginx-unprivileged:1.29", port: 8080, route: / }
`;

/** Every value below a folder of KV v2. */
async function valuesIn(vault: TestVault, folder: string): Promise<readonly unknown[]> {
  const { body } = await vault.api('GET', `secret/metadata/${folder}?list=true`);
  const keys: string[] = body.data?.keys ?? [];
  const below = keys.map(async (key) =>
    key.endsWith('/')
      ? await valuesIn(vault, `${folder}/${key.slice(0, -1)}`)
      : [(await vault.api('GET', `secret/data/${folder}/${key}`)).body.data.data],
  );
  return (await Promise.all(below)).flat();
}

describeWithVault('the second reference: Vault', (vault) => {
  /** The least that the reference's set-up needs. */
  const token = () =>
    vault().token({
      'secret/data/archestra/*': ['create', 'read', 'update', 'delete'],
      'secret/metadata/archestra/*': ['read', 'list', 'delete'],
    });
  const placesOf = (given: string) => ({ 'http://localhost:8200': vault().url, 'your-vault-token': given });

  test('read and write: a secret goes to Vault, and its value to no database', async () => {
    const { plinth, said } = await startFixture('vault', { map: placesOf(await token()) });
    await put(plinth, 'shop/one', spec);
    const answer = await plinth.request('PUT', `${api}/secrets/api-key`, { value: canary });
    expect(answer.status, answer.text).toBeLessThan(300);
    expect(JSON.stringify(await valuesIn(vault(), 'archestra'))).toContain(canary);
    expect(said()).not.toContain(canary);
  });

  test('read only: the address of the database is read from Vault, and values given inline are refused', async () => {
    const { address, database } = await provideDatabase(db, { user: 'vaulted', password: 'vaulted', name: 'vaulted' });
    const data = { connection_string: `postgresql://vaulted:vaulted@${address}/vaulted` };
    await vault().api('POST', 'secret/data/archestra/database', { data });
    const readOnly = await vault().token({ 'secret/data/archestra/*': ['read'] });
    const { plinth, hasEmbeddedDatabase } = await startFixture('vault-read-only', { map: placesOf(readOnly) });
    expect(hasEmbeddedDatabase()).toBe(false);
    expect(await tableOwners(database)).toEqual(['vaulted']);
    await put(plinth, 'shop/one', spec);
    const inline = await plinth.request('PUT', `${api}/secrets/api-key`, { value: canary });
    expect(inline.status).toBeGreaterThanOrEqual(400);
    expect(inline.status).toBeLessThan(500);
  });

  test('a token that Vault does not know ends the start: no secret goes elsewhere', async () => {
    const map = placesOf('canary-token-of-nobody');
    const envFile = Object.entries(map).reduce((text, [from, to]) => text.replaceAll(from, to), fixture('vault'));
    const { code, said } = await startAndEnd(`${envFile}\n`);
    expect(code).toBe(1);
    expect(said).toContain('Plinth cannot start.');
    expect(said).toMatch(/Vault/);
    expect(said).not.toContain('canary-token');
  });
});
