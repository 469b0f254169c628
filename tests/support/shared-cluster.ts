import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { type DoorAnswer, startTestCluster, type TestCluster } from './cluster.ts';
import { temporaryDirectory } from './temporary.ts';

/**
 * One cluster for a whole run of the tests: test files run in processes of their own, so they ask for it at a socket.
 * It starts when the first one asks (a run without cluster tests has none) and ends with the run.
 */
export default async function openDoor(project: TestProject): Promise<() => Promise<void>> {
  const { path, remove } = temporaryDirectory('plinth-door');
  const socket = join(path, 'cluster');
  let starting: Promise<TestCluster> | undefined;
  const server = createServer(async (_, response) => {
    starting ??= startTestCluster({ audit: true, nodes: 2 });
    const answer = await starting.then(answerOf, (error: Error): DoorAnswer => ({ error: error.message }));
    response.end(JSON.stringify(answer));
  });
  server.listen(socket);
  await once(server, 'listening');
  project.provide('sharedCluster', socket);
  return async () => {
    server.close();
    server.closeAllConnections();
    const cluster = await starting?.catch(() => undefined);
    await cluster?.stop();
    remove();
  };
}

const answerOf = ({ url, kubeconfig, directory, pids }: TestCluster): DoorAnswer => ({
  url,
  kubeconfig,
  directory,
  pids,
});
