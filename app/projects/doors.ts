import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Notices } from '#database/notices.ts';
import type { Database } from '#database/pool.ts';
import type { Environment } from '#environments/schema.ts';
import type { Repository } from '#git/repository.ts';
import type { Environments } from '#publish/environments.ts';
import type { EnvironmentRuntime } from '#reconcile/controllers.ts';
import type { Unsigned } from '#reconcile/signatures.ts';
import type { Secrets } from '#secrets/secrets.ts';

/** What the handlers of projects work with. */
export interface ProjectDoors {
  readonly database: Database;
  readonly repository: Repository;
  readonly environments: Environments;
  readonly secrets: Secrets;
  readonly notices: Notices;
  /** The runtime of an environment; undefined for one that Git does not know. */
  runtimeOf(environment: string): EnvironmentRuntime | undefined;
  /** What of an environment came by commits that do not count, by path. */
  unsignedIn(environment: string): ReadonlyMap<string, Unsigned>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The newest revision. @throws Fault REPOSITORY_UNAVAILABLE when the repository is empty */
export async function tipOf({ repository }: ProjectDoors): Promise<string> {
  const tip = await repository.tip();
  if (tip === undefined) throw new Fault('REPOSITORY_UNAVAILABLE', { why: 'it has no commit yet' });
  return tip;
}

/** The newest revision and an environment as it stands there. @throws Fault ENVIRONMENT_NOT_FOUND */
export async function environmentNow(
  doors: ProjectDoors,
  name: string,
): Promise<{ tip: string; environment: Environment }> {
  const tip = await tipOf(doors);
  return { tip, environment: await doors.environments.one(tip, name) };
}
