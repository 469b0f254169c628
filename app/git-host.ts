import { readFileSync } from 'node:fs';
import type { Clock } from '#base/clock.ts';
import type { StateRemote } from '#base/config.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import { createRemoteCredentials } from '#git/credentials.ts';
import { createGitHost, type OpenGitHost } from '#git/git-host.ts';
import type { Repository } from '#git/repository.ts';
import type { Environments } from '#publish/environments.ts';
import { type CommitStatuses, startCommitStatuses } from '#reconcile/tell/commit-statuses.ts';
import type { Secrets } from '#secrets/secrets.ts';
import type { Ending } from './stores.ts';

export interface GitHostOptions {
  readonly remote: StateRemote | undefined;
  readonly repository: Repository;
  readonly database: Database;
  readonly secrets: Secrets;
  readonly environments: Environments;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The page that a status leads to; standard: none. */
  readonly urlOf?: (status: { readonly environment: string; readonly revision: string }) => string | undefined;
}

/** Tells the Git host how its commits fare, where the state repository is at one whose API is known. */
export function reportToHost(options: GitHostOptions, endings: Ending[]): CommitStatuses | undefined {
  const { remote, clock, log, environments } = options;
  const host = remote === undefined ? undefined : openHost(remote, clock, log);
  if (host === undefined) return undefined;
  endings.push({ what: 'API of the Git host', end: () => host.close() });
  const statuses = startCommitStatuses({
    ...options,
    host,
    reports: async (environment, tip) => {
      const runtime = (await environments.at(tip)).get(environment)?.runtime;
      return runtime !== undefined && runtime !== 'none';
    },
    urlOf: options.urlOf ?? (() => undefined),
  });
  endings.push({ what: 'commit statuses', end: () => statuses.stop() });
  return statuses;
}

function openHost(remote: StateRemote, clock: Clock, log: Log): OpenGitHost | undefined {
  const { provider, apiUrl, path, caFile, apiToken, credential: signIn } = remote;
  if (provider === 'plain' || apiUrl === undefined) return undefined;
  if (apiToken === undefined && signIn.kind !== 'token' && signIn.kind !== 'github-app') {
    log.warn({ provider }, 'commit statuses are not set: STATE_REPOSITORY_API_TOKEN is not set');
    return undefined;
  }
  const credentials = createRemoteCredentials(remote, clock);
  try {
    return createGitHost({
      kind: provider,
      apiUrl,
      // Of a host below a path of its server, the address has that path before the name.
      repository: provider === 'gitlab' ? path : path.split('/').slice(-2).join('/'),
      credential: async () => apiToken ?? (await credentials.signIn())?.password ?? new Secret(''),
      refused: () => {
        credentials.wasRefused();
      },
      clock,
      ca: caFile === undefined ? undefined : readFileSync(caFile, 'utf8'),
    });
  } catch (error) {
    log.warn({ provider, reason: (error as Error).message }, 'commit statuses are not set');
    return undefined;
  }
}
