import { notify } from '#database/listen.ts';
import type { Database, Queryable } from '#database/pool.ts';
import type { Action } from '#environments/operations.ts';

/** Where an action is turned off: team and project empty for a whole environment, project empty for a team. */
export interface SwitchPlace {
  readonly environment: string;
  readonly team: string;
  readonly project: string;
}

export interface SwitchRow extends SwitchPlace {
  readonly action: Action;
  readonly reason: string;
  readonly actor: string;
  readonly until: Date | null;
  readonly version: number;
  readonly created_at: Date;
  readonly left_revision: string | null;
}

const fields = 'environment, team, project, action, reason, actor, until, version, created_at, left_revision';

/** What is off in an environment now: all of it, or what is about these teams, or about one project. */
export async function listSwitches(
  database: Queryable,
  environment: string,
  about: { readonly teams: 'all' | readonly string[]; readonly project?: string },
  now: Date,
): Promise<readonly SwitchRow[]> {
  const { rows } = await database.query<SwitchRow>(
    `select ${fields} from switches
     where environment = $1 and ($2::text[] is null or team = '' or team = any($2))
       and ($3::text is null or project in ('', $3)) and (until is null or until > $4)
     order by team, project, action`,
    [environment, about.teams === 'all' ? null : about.teams, about.project ?? null, now],
    'switches-list',
  );
  return rows;
}

/** What is off for a project now: by itself, with its team or with its environment. */
export const switchesOf = (database: Queryable, { environment, team, project }: SwitchPlace, now: Date) =>
  listSwitches(database, environment, { teams: [team], project }, now);

/** The switch as it stands, ended by its time or not. */
export async function readSwitch(
  database: Queryable,
  { environment, team, project }: SwitchPlace,
  action: Action,
): Promise<SwitchRow | undefined> {
  const { rows } = await database.query<SwitchRow>(
    `select ${fields} from switches where environment = $1 and team = $2 and project = $3 and action = $4`,
    [environment, team, project, action],
    'switch-read',
  );
  return rows[0];
}

export interface NewSwitch extends SwitchPlace {
  readonly action: Action;
  readonly reason: string;
  readonly actor: string;
  readonly until: Date | undefined;
}

/**
 * Turns an action off, and wakes those whom it is about. `expected` is the version that it must have; '' for none in
 * force, '*' for any, undefined: not asked. Undefined is returned where it is another one.
 */
export async function writeSwitch(
  database: Database,
  { environment, team, project, action, reason, actor, until }: NewSwitch,
  expected: string | undefined,
  now: Date,
): Promise<SwitchRow | undefined> {
  return await database.transaction(async (tx) => {
    const { rows } = await tx.query<SwitchRow>(
      `insert into switches as s (environment, team, project, action, reason, actor, until)
       select $1, $2, $3, $4, $5, $6, $7::timestamptz
       where $8::text is null or $8 = '' or exists (select 1 from switches
         where environment = $1 and team = $2 and project = $3 and action = $4)
       on conflict (environment, team, project, action) do update
       set reason = excluded.reason, actor = excluded.actor, until = excluded.until, created_at = now(),
           version = nextval('switch_versions'), left_revision = null, spec_blob = null
       where $8::text is null or $8 = '*' or s.version::text = $8 or ($8 = '' and s.until <= $9)
       returning ${fields}`,
      [environment, team, project, action, reason, actor, until ?? null, expected ?? null, now],
      'switch-write',
    );
    if (rows[0] !== undefined) await wakeAbout(tx, { environment, team, project });
    return rows[0];
  });
}

/** Turns an action on again. False: there is no such switch, or it has another version. */
export async function removeSwitch(
  database: Database,
  { environment, team, project }: SwitchPlace,
  action: Action,
  expected: string | undefined,
): Promise<boolean> {
  return await database.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `delete from switches where environment = $1 and team = $2 and project = $3 and action = $4
       and ($5::text is null or $5 = '*' or version::text = $5)`,
      [environment, team, project, action, expected ?? null],
      'switch-remove',
    );
    if (rowCount === 1) await wakeAbout(tx, { environment, team, project });
    return rowCount === 1;
  });
}

/** Whom a switch is about, told to reconcile: `*` stands for all. */
async function wakeAbout(tx: Queryable, { environment, team, project }: SwitchPlace): Promise<void> {
  await notify(tx, 'project_wake', [environment, team || '*', project || '*'].join('/'));
}

/** Notes that a person asked for a run of these manifests; windows with `manual: true` let it pass. */
export async function askRun(
  database: Queryable,
  { environment, team, project }: SwitchPlace,
  manifests: string,
  actor: string,
  now: Date,
): Promise<void> {
  await database.query(
    `insert into asked_runs (environment, team, project, manifests, actor, asked_at) values ($1, $2, $3, $4, $5, $6)
     on conflict (environment, team, project) do update
     set manifests = excluded.manifests, actor = excluded.actor, asked_at = excluded.asked_at`,
    [environment, team, project, manifests, actor, now],
    'run-ask',
  );
}
