import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { Database } from '#database/pool.ts';
import { createDatabase } from '#database/pool.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { silent } from '#support/git.ts';
import type { TestDatabase } from '#support/postgres.ts';
import { openPostgresPort } from '#support/postgres-port.ts';
import { temporaryDirectory } from '#support/temporary.ts';

/** A control plane that was started by one of the references' set-ups. */
export interface Started {
  readonly plinth: ControlPlane;
  readonly dataDirectory: string;
  /** All that it said to people: its output and its log. */
  said(): string;
  /** environment.yaml of `local` at the tip. */
  local(): Promise<string>;
  /** True when it brought a database server of its own. */
  hasEmbeddedDatabase(): boolean;
}

export interface FixtureOptions {
  /** What placeholders of the file stand for here: a real server, a real registry's name. Each must be in the file. */
  readonly map?: Readonly<Record<string, string>>;
  /** Ports, which a test must choose. Free ones by default. */
  readonly ports?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The text of a set-up as the reference has it. */
export const fixture = (name: string): string =>
  readFileSync(new URL(`../../fixtures/settings/${name}.env`, import.meta.url), 'utf8');

/**
 * Starts Plinth in a folder that holds this set-up as `.env`, with nothing else changed but the placeholders, the ports
 * and DATA_DIR, and signs in with the password that it generated.
 */
export async function startFixture(name: string, options: FixtureOptions = {}): Promise<Started> {
  const { path, remove } = temporaryDirectory('plinth-settings');
  onTestFinished(remove);
  const dataDirectory = join(path, 'data');
  const ports = options.ports ?? 'API_PORT=0\nCONSOLE_PORT=0\nMETRICS_PORT=0\n';
  const plinth = await startControlPlane({
    dataDirectory,
    envFile: `${filled(fixture(name), options.map ?? {})}\n${ports}`,
    environment: options.environment ?? {},
    bare: true,
  });
  onTestFinished(async () => {
    await plinth.stop();
  });
  const local = async () =>
    (await plinth.request('GET', '/api/v1/environments/local', undefined, { accept: 'application/yaml' })).text;
  expect((await plinth.request('GET', '/api/v1/environments')).status).toBe(200);
  return {
    plinth,
    dataDirectory,
    said: () => plinth.output() + plinth.log(),
    local,
    hasEmbeddedDatabase: () => existsSync(join(dataDirectory, 'postgres')),
  };
}

function filled(text: string, map: Readonly<Record<string, string>>): string {
  for (const placeholder of Object.keys(map))
    if (!text.includes(placeholder)) throw new Error(`${placeholder} is not in the fixture`);
  return Object.entries(map).reduce((all, [placeholder, real]) => all.replaceAll(placeholder, real), text);
}

/** A database of this name with a role of this name and password, behind a TCP port, as the references assume one. */
export async function provideDatabase(
  admin: TestDatabase,
  { user, password, name }: { readonly user: string; readonly password: string; readonly name: string },
): Promise<{ readonly address: string; readonly database: Database }> {
  const { database: server, connection } = admin;
  await server.query(`create role "${user}" login password '${password}'`);
  await server.query(`create database "${name}" owner "${user}" template template0`);
  const port = await openPostgresPort(connection);
  const database = createDatabase({ connection: { ...connection, database: name }, log: silent, connections: 1 });
  onTestFinished(async () => {
    await database.close();
    await port.close();
    await server.query(`drop database "${name}" with (force)`);
    await server.query(`drop role "${user}"`);
  });
  return { address: `127.0.0.1:${port.port}`, database };
}

/** Who owns the tables in a database that Plinth works with. */
export async function tableOwners(database: Database): Promise<readonly string[]> {
  const { rows } = await database.query<{ owner: string }>(
    `select distinct tableowner as owner from pg_tables where schemaname in ('public', 'auth')`,
  );
  return rows.map(({ owner }) => owner);
}
