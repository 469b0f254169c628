import { homedir } from 'node:os';
import { type Audit, createAudit } from '#audit/audit.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { type Config, loadSettings, readEnvFile, sentencesOf } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { createLog, type Log } from '#base/log.ts';
import { createMetrics, type Metrics } from '#base/metrics.ts';
import { startTracing } from '#base/tracing.ts';
import { createNotices } from '#database/notices.ts';
import { environmentFile } from '#environments/layout.ts';
import { createGitServer } from '#git/serve.ts';
import { createWebhookHandlers } from '#git/webhook-handlers.ts';
import { createDocumentHandlers } from '#http/documentation.ts';
import { createHealthHandlers } from '#http/health.ts';
import { metricsSecret } from '#http/metrics-server.ts';
import { createOrigins } from '#http/origins.ts';
import { createDeliveryHandlers } from '#notify/handlers.ts';
import type { ProjectDoors } from '#projects/doors.ts';
import { createProjectHandlers } from '#projects/routes.ts';
import { checkPush } from '#publish/check-push.ts';
import { createEnvironments } from '#publish/environments.ts';
import type { Controllers } from '#reconcile/controllers.ts';
import { type FindOptions, findCluster } from '#runtime/kubernetes/connect.ts';
import { jsonSchemas } from '#synth/json-schema.ts';
import manifest from '../package.json' with { type: 'json' };
import { openAccess } from './access.ts';
import { banner } from './banner.ts';
import { type Loops, startLoops } from './loops.ts';
import { passwordKeeper } from './password-secret.ts';
import { followProjectDomains, type ProjectDomains } from './project-domains.ts';
import { startServers } from './server.ts';
import { type Ending, openStores, type Stores } from './stores.ts';

const graceMs = 10_000;
const { version } = manifest;

interface Given {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  /** Aborts when the process is asked to end, also while it still starts. */
  readonly stopping: AbortController;
}

/** The whole control plane: settings → stores → access → loops → servers. Returns how to stop it. */
async function start(given: Given): Promise<() => Promise<void>> {
  const { log, stopping } = given;
  const endings: Ending[] = [];
  const stop = async () => {
    stopping.abort(new Fault('STOPPING'));
    for (const { what, end } of endings.reverse())
      await Promise.resolve(end()).catch((error: unknown) =>
        log.error({ err: error, what }, 'could not be ended in order'),
      );
  };
  try {
    await startParts(given, endings);
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(given: Given, endings: Ending[]): Promise<void> {
  const { config, log, clock } = given;
  const stopping = given.stopping.signal;
  const metrics = createMetrics();
  const tracing = config.traceCollector && (await startTracing({ ...config.traceCollector, version, log, clock }));
  endings.push({ what: 'traces', end: () => tracing?.stop() });
  const stores = await openStores({ config, log, clock, metrics, stopping }, endings);
  const { database, repository } = stores;
  const notices = createNotices();
  const environments = createEnvironments(repository, database);
  const projectDomains = await followProjectDomains({ environments, repository, notices }, log);
  const audit = createAudit({ database, clock, log });
  await recordSettings(audit, stores);
  const found = await findCluster(clusterOptions(config, clock));
  const keeper = await passwordKeeper(found, config.dataDirectory, clock);
  const baseUrl = config.frontendUrl ?? `http://localhost:${config.consolePort}`;
  const { trace, traceWalk } = tracing ?? {};
  const parts = { ...given, metrics, audit, notices, environments, traceWalk };
  const access = await openAccess({ ...parts, stores, baseUrl, keeper, projectDomains }, endings);
  const loops = startLoops(
    {
      ...stores,
      ...parts,
      version,
      mailer: access.mailer,
      findCluster: () => findCluster(clusterOptions(config, clock)),
    },
    endings,
  );
  const { controllers, publisher } = loops;

  const gitServer = await createGitServer({
    repository,
    log,
    checkPush: (push) => checkPush(database, push),
    pushed: () => {
      publisher.wake();
      controllers.moved();
    },
  });
  endings.push({ what: 'git', end: () => gitServer.close() });

  const handlers = { ...access.handlers, ...handlersOf(parts, stores, loops) };
  const { secret, file } = await metricsSecret({
    dataDirectory: config.dataDirectory,
    setting: config.metricsSecret,
  });
  const { callers, extra, administrator } = access;
  const origins = createOrigins(originsOptions(config, baseUrl, projectDomains));
  const web = { metricsSecret: secret, trace, stopping, origins };
  const servers = await startServers({ ...parts, ...web, handlers, extra, callers, gitServer });
  endings.push({ what: 'servers', end: () => servers.close(graceMs) });
  await controllers.started;
  process.stdout.write(banner({ config, servers, controllers, administrator, metricsSecretFile: file }));
  await administrator.handedOver();
}

type Parts = Given & Pick<ProjectDoors, 'notices' | 'environments'> & { readonly metrics: Metrics };

/** The handlers of all that is not about people. */
function handlersOf(parts: Parts, stores: Stores, { controllers, remoteMoved }: Loops) {
  const schemas = Object.fromEntries(
    Object.entries(jsonSchemas()).map(([name, schema]) => [`${name}.schema.json`, { ...schema }]),
  );
  const { runtimeOf, unsignedIn } = controllers;
  return {
    ...createProjectHandlers({ ...stores, ...parts, runtimeOf, unsignedIn }),
    ...createDeliveryHandlers(stores),
    ...createDocumentHandlers({ version, schemas }),
    ...createHealthHandlers({ ...parts, ...checks(stores, controllers) }),
    ...createWebhookHandlers({
      ...parts,
      secret: parts.config.stateRemote?.webhookSecret,
      provider: parts.config.stateRemote?.provider,
      wake: remoteMoved,
    }),
  };
}

/** What the settings changed in environment.yaml of `local`, if anything. */
async function recordSettings(audit: Audit, { settingsRevision: revision }: Stores): Promise<void> {
  if (revision === undefined) return;
  const actor = { id: '', name: 'settings', kind: 'system' } as const;
  const target = environmentFile('local');
  await audit.record({
    actor,
    action: 'commitSettings',
    target,
    outcome: 'done',
    after: revision,
    detail: { revision },
  });
}

function originsOptions(config: Config, baseUrl: string, projectDomains: ProjectDomains) {
  const { appDomain, projectsDomain, production, quickstart } = config;
  return {
    baseUrl,
    trustedOrigins: config.trustedOrigins ?? [],
    corsOrigins: [],
    appDomain,
    projectsDomain,
    production,
    otherProjectsDomains: projectDomains.current,
    quickstart,
    ports: [config.apiPort, config.consolePort],
  };
}

/** What /ready asks: each part in its own words. */
function checks({ database, repository }: Stores, controllers: Controllers) {
  return {
    database: async () => {
      await database.query('select 1');
    },
    git: async () => {
      if ((await repository.tip()) === undefined)
        throw new Fault('REPOSITORY_UNAVAILABLE', { why: 'it has no commit' });
    },
    remote:
      repository.remote === undefined
        ? undefined
        : async () => {
            const problem = repository.remote?.problem();
            if (problem !== undefined) throw problem;
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
      // Without a host there is no cluster around us: the setting says that ours is another one.
      host: config.loadInClusterKubeconfig ? process.env.KUBERNETES_SERVICE_HOST : undefined,
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
    const { config, report } = loadSettings({ env: process.env, envFile: readEnvFile(process.cwd()) });
    const log = createLog({ level: config.logLevel });
    for (const { level, text } of sentencesOf(report)) log[level === 'warning' ? 'warn' : 'info']({}, text);
    const stopping = new AbortController();
    void asked.then(() => stopping.abort(new Fault('STOPPING')));
    const stop = await start({ config, log, clock: systemClock, stopping });
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
