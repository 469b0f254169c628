import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { systemClock } from '#base/clock.ts';
import { createLog, type Log } from '#base/log.ts';
import type { Connection } from '#database/connection.ts';
import { type Embedded, startEmbedded } from '#database/embedded.ts';
import { migrate } from '#database/migrate.ts';
import { createDatabase } from '#database/pool.ts';
import { type DatabaseAnswer, templateName } from './postgres.ts';
import { temporaryDirectory } from './temporary.ts';

/**
 * One database server for a whole run of the tests, with a migrated database to copy. Test files run in processes of
 * their own, so they ask for it at a socket; it starts when the first one asks and ends with the run.
 */
export default async function openDoor(project: TestProject): Promise<() => Promise<void>> {
  const { path, remove } = temporaryDirectory('plinth-postgres');
  // As root the server runs as another user, which must be able to enter.
  chmodSync(path, 0o711);
  let starting: Promise<Embedded> | undefined;
  const server = createServer(async (_, response) => {
    starting ??= start(join(path, 'postgres'));
    const answer = await starting.then(answerOf, (error: Error): DatabaseAnswer => ({ error: error.message }));
    response.end(JSON.stringify(answer));
  });
  const socket = join(path, 'door');
  server.listen(socket);
  await once(server, 'listening');
  project.provide('sharedPostgres', socket);
  return async () => {
    server.close();
    server.closeAllConnections();
    await (await starting?.catch(() => undefined))?.stop();
    remove();
  };
}

async function start(directory: string): Promise<Embedded> {
  const log = createLog({ level: 'silent' });
  // Several test files at once, each with its pools.
  const embedded = await startEmbedded({ directory, log, clock: systemClock, settings: { max_connections: '200' } });
  try {
    await makeTemplate(embedded.connection, log);
    return embedded;
  } catch (error) {
    await embedded.stop();
    throw error;
  }
}

async function makeTemplate(connection: Connection, log: Log): Promise<void> {
  const admin = createDatabase({ connection, log });
  await admin.query(`create database ${templateName}`).finally(() => admin.close());
  const template = createDatabase({ connection: { ...connection, database: templateName }, log });
  await migrate({ database: template, log }).finally(() => template.close());
}

const answerOf = ({ connection }: Embedded): DatabaseAnswer => ({
  ...connection,
  password: connection.password.reveal(),
});
