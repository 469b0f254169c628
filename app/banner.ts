import type { Administrator } from '#auth/people/administrator.ts';
import type { Config } from '#base/config.ts';
import type { Controllers } from '#reconcile/controllers.ts';
import type { Servers } from './server.ts';

/** What a person reads after the start: where everything is, what runs where and why, and how to sign in. */
export function banner(facts: {
  readonly config: Config;
  readonly servers: Servers;
  readonly controllers: Controllers;
  readonly administrator: Administrator;
  /** Where a generated METRICS_SECRET stands. */
  readonly metricsSecretFile: string | undefined;
}): string {
  const { config, servers, controllers, administrator, metricsSecretFile } = facts;
  const runtimes = [...controllers.runtimes()].map(
    ([name, { runtime, because }]) => `    ${name.padEnd(12)}${runtime.kind.padEnd(12)}${because}`,
  );
  return [
    '',
    'Plinth is ready.',
    `  API and Git   ${servers.api.url}  (documentation at ${servers.api.url}/documentation/)`,
    ...(config.apiBaseUrls ?? []).map((url) => `  From outside  ${url}`),
    `  Console       ${servers.console.url}  (sign-in and account; the console itself comes later)`,
    `  Metrics       ${servers.metrics.url}/metrics${bearerLine(metricsSecretFile)}`,
    `  Data          ${config.dataDirectory}`,
    `  State         git clone ${servers.api.url}/git/state.git`,
    '  Environments',
    ...runtimes,
    `  Administrator ${administrator.email}${passwordLine(administrator)}`,
    '  Ctrl-C stops it; the next start goes on with the same data.',
    '',
    '',
  ].join('\n');
}

/** A generated password is shown once, to a terminal only; in any other case its place is named. */
function passwordLine({ password, passwordPlace }: Administrator): string {
  if (password !== undefined) return `, password ${password.reveal()}  (shown only this once)`;
  return passwordPlace === undefined ? '' : `, password in ${passwordPlace}`;
}

/** The token itself is not printed: the file is there for whoever sets up the scraper. */
const bearerLine = (file: string | undefined) => (file === undefined ? '' : `  (bearer token in ${file})`);
