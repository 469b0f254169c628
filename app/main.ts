import { homedir } from 'node:os';
import { createAccessHandlers } from '#auth/access.ts';
import { ensureAdministrator, forgetGeneratedPassword } from '#auth/administrator.ts';
import { createAuth } from '#auth/better-auth.ts';
import { createCallers } from '#auth/caller.ts';
import { createPasswords } from '#auth/passwords.ts';
import { createTokens } from '#auth/tokens.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { type Config, readConfig } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { createLog, type Log } from '#base/log.ts';
import { createMetrics } from '#base/metrics.ts';
import type { Database } from '#database/pool.ts';
import type { Repository } from '#git/repository.ts';
import { createGitServer } from '#git/serve.ts';
import { createDocumentHandlers } from '#http/documentation.ts';
import { createHealthHandlers } from '#http/health.ts';
import { createSignInLimits } from '#http/limits.ts';
import { createProjectHandlers } from '#projects/routes.ts';
import { checkPush } from '#publish/check-push.ts';
import type { Controllers } from '#reconcile/controllers.ts';
import { type FindOptions, findCluster } from '#runtime/kubernetes/connect.ts';
import { jsonSchemas } from '#synth/json-schema.ts';
import manifest from '../package.json' with { type: 'json' };
import { banner } from './banner.ts';
import { startLoops } from './loops.ts';
import { passwordKeeper } from './password-secret.ts';
import { startServers } from './server.ts';
import { type Ending, openStores, type Stores } from './stores.ts';

const graceMs = 10_000;

/** The whole control plane: settings → stores → loops → servers. Returns how to stop it. */
async function start(config: Config, log: Log, clock: Clock): Promise<() => Promise<void>> {
  const endings: Ending[] = [];
  const stopping = new AbortController();
  const stop = async () => {
    stopping.abort(new Fault('STOPPING'));
    for (const { what, end } of endings.reverse())
      await Promise.resolve(end()).catch((error: unknown) =>
        log.error({ err: error, what }, 'could not be ended in order'),
      );
  };
  try {
    await startParts(config, log, clock, endings, stopping.signal);
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(
  config: Config,
  log: Log,
  clock: Clock,
  endings: Ending[],
  stopping: AbortSignal,
): Promise<void> {
  const metrics = createMetrics();
  const stores = await openStores(config, log, clock, endings);
  const access = await openAccess(config, stores, log, clock);
  const loops = startLoops(
    { ...stores, clock, log, metrics, findCluster: () => findCluster(clusterOptions(config, clock)) },
    endings,
  );
  const { database, repository } = stores;
  const { controllers, publisher } = loops;

  const gitServer = await createGitServer({
    repository,
    log,
    checkPush: ({ view }) => checkPush(database, view),
    pushed: () => {
      publisher.wake();
      controllers.moved();
    },
  });
  endings.push({ what: 'git', end: () => gitServer.close() });

  const schemas = Object.fromEntries(
    Object.entries(jsonSchemas()).map(([name, schema]) => [`${name}.schema.json`, { ...schema }]),
  );
  const handlers = {
    ...createProjectHandlers({ ...stores, ...loops, runtimeOf: controllers.runtimeOf, clock, log }),
    ...access.handlers,
    ...createDocumentHandlers({ version: manifest.version, schemas }),
    ...createHealthHandlers({ clock, log, ...checks(database, repository, controllers) }),
  };
  const { callerOf, administrator } = access;
  const servers = await startServers({ config, clock, log, metrics, stopping, callerOf, gitServer, handlers });
  endings.push({ what: 'servers', end: () => servers.close(graceMs) });
  await controllers.started;
  process.stdout.write(banner({ config, servers, controllers, administrator }));
  await administrator.handedOver();
}

/** Who may come in: the administrator, passwords and tokens. */
async function openAccess(config: Config, { database, authSecret }: Stores, log: Log, clock: Clock) {
  const baseUrl = `http://${config.host}:${config.apiPort}`;
  const auth = await createAuth({ database, log, clock, secret: authSecret, baseUrl });
  const passwords = createPasswords({ auth, database, limits: createSignInLimits(), clock });
  const tokens = createTokens({ database, clock, log });
  const { dataDirectory, adminEmail: email, adminPassword: password } = config;
  const isTerminal = process.stdout.isTTY === true;
  const keeper = await passwordKeeper(await findCluster(clusterOptions(config, clock)), dataDirectory, clock);
  const administrator = await ensureAdministrator({ auth, database, log, email, password, keeper, isTerminal });
  const passwordChanged = (userId: string) => forgetGeneratedPassword({ database, keeper }, userId);
  return {
    administrator,
    callerOf: createCallers({ passwords, tokens }),
    handlers: createAccessHandlers({ auth, passwords, tokens, passwordChanged }),
  };
}

/** What /ready asks: each part in its own words. */
function checks(database: Database, repository: Repository, controllers: Controllers) {
  return {
    database: async () => {
      await database.query('select 1');
    },
    git: async () => {
      if ((await repository.tip()) === undefined)
        throw new Fault('REPOSITORY_UNAVAILABLE', { why: 'it has no commit' });
    },
    clusters: () =>
      Object.fromEntries(
        [...controllers.runtimes()]
          .filter(([, { runtime }]) => runtime.kind !== 'none')
          .map(([environment, { runtime }]) => [
            environment,
            async () => {
              const { connected, reason } = runtime.state();
              if (!connected) throw new Fault('RUNTIME_UNAVAILABLE', { cluster: environment, why: reason });
            },
          ]),
      ),
  };
}

function clusterOptions(config: Config, clock: Clock): FindOptions {
  return {
    kubeconfig: config.kubeconfig,
    consent: config.clusterConsent,
    dataDirectory: config.dataDirectory,
    home: homedir(),
    inCluster: {
      host: process.env.KUBERNETES_SERVICE_HOST,
      port: process.env.KUBERNETES_SERVICE_PORT,
      folder: '/var/run/secrets/kubernetes.io/serviceaccount',
    },
    clock,
  };
}

/** The process: starts everything, drains on SIGTERM and Ctrl-C, ends at once on the second one. */
async function main(): Promise<void> {
  // Asked for before anything starts: a Ctrl-C during the start is not lost, and ends in order what had begun.
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  try {
    const config = readConfig(process.env);
    const log = createLog({ level: config.logLevel });
    const stop = await start(config, log, systemClock);
    await asked;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1));
    log.info('draining');
    await stop();
    log.info('stopped');
  } catch (error) {
    const why = Fault.is(error) ? error.message : ((error as Error).stack ?? String(error));
    process.stderr.write(`Plinth cannot start. ${why}\n`);
    process.exitCode = 1;
  }
}

await main();
