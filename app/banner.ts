import type { Administrator } from '#auth/administrator.ts';
import type { Config } from '#base/config.ts';
import type { Controllers } from '#reconcile/controllers.ts';
import type { Servers } from './server.ts';

/** What a person reads after the start: where everything is, what runs where and why, and how to sign in. */
export function banner(facts: {
  readonly config: Config;
  readonly servers: Servers;
  readonly controllers: Controllers;
  readonly administrator: Administrator;
}): string {
  const { config, servers, controllers, administrator } = facts;
  const runtimes = [...controllers.runtimes()].map(
    ([name, { runtime, because }]) => `    ${name.padEnd(12)}${runtime.kind.padEnd(12)}${because}`,
  );
  return [
    '',
    'Plinth is ready.',
    `  API and Git   ${servers.api.url}  (documentation at ${servers.api.url}/documentation/)`,
    `  Console       ${servers.console.url}  (the API's documentation, until the console exists)`,
    `  Metrics       ${servers.metrics.url}/metrics`,
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
