import type { Database } from '#database/pool.ts';
import { type ProjectKey, projectName } from '#environments/layout.ts';
import type { ObjectKey } from '#runtime/runtime.ts';
import type { InventoryEntry } from './decide/plan.ts';
import type { Origin, Phase, Problem, Reason, Status } from './store.ts';

/** What the last process, or the last replica, knew of a project. */
export interface Remembered {
  readonly status: Status | undefined;
  readonly inventory: readonly InventoryEntry[];
}

interface StatusRow {
  team: string;
  project: string;
  revision: string | null;
  manifests_digest: string | null;
  phase: Phase;
  health: string;
  reasons: Reason[];
  problem: Problem | null;
  origin: Origin | null;
  attempts: number;
  retry_at: Date | null;
}

interface InventoryRow {
  team: string;
  project: string;
  api_version: string;
  kind: string;
  namespace: string;
  name: string;
  uid: string;
  desired_digest: string;
  owned_digest: string;
  keep: boolean;
}

/** Rows in one answer: a whole environment in one would stand in memory twice. */
const pageSize = 2_000;

const statusColumns =
  'team, project, revision, manifests_digest, phase, health, reasons, problem, origin, attempts, retry_at';
const inventoryColumns = 'team, project, api_version, kind, namespace, name, uid, desired_digest, owned_digest, keep';

/** What is known of every project of an environment, by `team/project`: read at the start. */
export async function readRemembered(
  database: Database,
  environment: string,
): Promise<ReadonlyMap<string, Remembered>> {
  const collected = createCollection();
  for (let last: StatusRow | undefined, first = true; first || last !== undefined; first = false) {
    const { rows } = await database.query<StatusRow>(
      `select ${statusColumns} from project_status where environment = $1 and (team, project) > ($2, $3)
       order by team, project limit ${pageSize}`,
      [environment, last?.team ?? '', last?.project ?? ''],
      'status-page',
    );
    for (const row of rows) collected.status(row);
    last = rows.length === pageSize ? rows.at(-1) : undefined;
  }
  for (let last: InventoryRow | undefined, first = true; first || last !== undefined; first = false) {
    const { rows } = await database.query<InventoryRow>(
      `select ${inventoryColumns} from inventory
       where environment = $1 and (team, project, api_version, kind, namespace, name) > ($2, $3, $4, $5, $6, $7)
       order by team, project, api_version, kind, namespace, name limit ${pageSize}`,
      [
        environment,
        ...[last?.team, last?.project, last?.api_version, last?.kind, last?.namespace, last?.name].map(
          (part) => part ?? '',
        ),
      ],
      'inventory-page',
    );
    for (const row of rows) collected.entry(row);
    last = rows.length === pageSize ? rows.at(-1) : undefined;
  }
  return collected.found;
}

/** The same for single projects, in their order: after another replica had them. */
export async function readRememberedOf(
  database: Database,
  keys: readonly ProjectKey[],
): Promise<readonly Remembered[]> {
  const asked = `from unnest($1::text[], $2::text[], $3::text[]) as k(environment, team, project)`;
  const values = [
    keys.map(({ environment }) => environment),
    keys.map(({ team }) => team),
    keys.map(({ project }) => project),
  ];
  const collected = createCollection();
  const statuses = await database.query<StatusRow>(
    `select s.* ${asked} join project_status s using (environment, team, project)`,
    values,
    'status-some',
  );
  for (const row of statuses.rows) collected.status(row);
  const entries = await database.query<InventoryRow>(
    `select i.* ${asked} join inventory i using (environment, team, project)`,
    values,
    'inventory-some',
  );
  for (const row of entries.rows) collected.entry(row);
  return keys.map((key) => collected.found.get(projectName(key)) ?? { status: undefined, inventory: [] });
}

/** Puts rows together by project. Texts that many rows repeat are kept once. */
function createCollection() {
  const found = new Map<string, { status: Status | undefined; inventory: InventoryEntry[] }>();
  const texts = new Map<string, string>();
  const once = (text: string): string => {
    const known = texts.get(text);
    if (known === undefined) texts.set(text, text);
    return known ?? text;
  };
  let name = '';
  let last: { team: string; project: string } | undefined;
  const of = ({ team, project }: { team: string; project: string }) => {
    if (last?.team !== team || last.project !== project) name = projectName({ team, project });
    last = { team, project };
    const there = found.get(name) ?? { status: undefined, inventory: [] };
    found.set(name, there);
    return there;
  };
  return {
    found: found as ReadonlyMap<string, Remembered>,
    status: (row: StatusRow) => {
      of(row).status = toStatus(row, once);
    },
    entry: (row: InventoryRow) => {
      of(row).inventory.push(toEntry(row, once));
    },
  };
}

/** Fields in the order in which a run writes them: whether a status is another one is seen by its JSON. */
const toStatus = (row: StatusRow, once: (text: string) => string): Status => ({
  revision: row.revision === null ? undefined : once(row.revision),
  manifestsDigest: row.manifests_digest ?? undefined,
  phase: row.phase,
  health: row.health,
  reasons: row.reasons.map(({ object, state, reason }) => ({ object, state, reason })),
  problem: row.problem === null ? undefined : toProblem(row.problem),
  origin: row.origin === null ? undefined : toOrigin(row.origin, once),
  attempts: row.attempts === 0 ? undefined : row.attempts,
  retryAt: row.retry_at?.toISOString(),
});

const toProblem = ({ code, detail, manifests }: Problem): Problem => ({ code, detail, manifests });

const toOrigin = ({ spec, manifests, door, secrets, mode, dependsOn }: Origin, once: (text: string) => string) => ({
  spec,
  manifests,
  door: once(door),
  secrets,
  mode,
  dependsOn,
});

const toEntry = (row: InventoryRow, once: (text: string) => string): InventoryEntry => {
  const key: ObjectKey = {
    apiVersion: once(row.api_version),
    kind: once(row.kind),
    namespace: once(row.namespace),
    name: once(row.name),
  };
  const entry = { key, uid: row.uid, desiredDigest: row.desired_digest, ownedDigest: row.owned_digest };
  return row.keep ? { ...entry, keep: true } : entry;
};
