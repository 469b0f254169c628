import type { Queryable } from '#database/pool.ts';
import type { Address } from './cipher.ts';
import { teamScope } from './scope.ts';

/** Whether a secret is the team's ($1) or one of its projects', whose scope is `project/<environment>/<team>/<project>`. */
const isOfTeam = `(scope = $2 or (scope like 'project/%' and split_part(scope, '/', 3) = $1))`;

/** How many secrets people set, by scope. */
export async function countGiven(
  tx: Queryable,
  team: string,
): Promise<readonly { readonly scope: string; readonly count: number }[]> {
  const { rows } = await tx.query<{ scope: string; count: number }>(
    `select scope, count(*)::int as count from secret_values where ${isOfTeam} and not generated
     group by scope order by scope collate "C"`,
    [team, teamScope(team)],
  );
  return rows;
}

/** What Plinth made for its projects, such as passwords of databases. */
export async function listGenerated(tx: Queryable, team: string): Promise<readonly Pick<Address, 'scope' | 'name'>[]> {
  const { rows } = await tx.query<Pick<Address, 'scope' | 'name'>>(
    `select scope, name from secret_values where ${isOfTeam} and generated`,
    [team, teamScope(team)],
  );
  return rows;
}

export async function deleteGenerated(tx: Queryable, team: string): Promise<void> {
  await tx.query(`delete from secret_values where ${isOfTeam} and generated`, [team, teamScope(team)]);
}

/** Grants to every team stay; whose last grant goes serves nobody. */
export async function dropGrantsTo(tx: Queryable, team: string): Promise<void> {
  await tx.query(
    `update secret_values set grants = array(
       select grant_to from unnest(grants) with ordinality as each (grant_to, place)
       where split_part(grant_to, '/', 2) <> $1 order by place)
     where exists (select from unnest(grants) as each (grant_to) where split_part(grant_to, '/', 2) = $1)`,
    [team],
  );
}
