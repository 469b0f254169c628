import type { ProviderConfig } from '#contract/identity.ts';
import type { Queryable } from '#database/pool.ts';

export interface ProviderRow {
  readonly id: string;
  readonly name: string;
  readonly config: ProviderConfig;
  readonly updatedAt: Date;
}

const providerColumns = 'id, name, config, updated_at as "updatedAt"';

export async function listProviders(db: Queryable): Promise<readonly ProviderRow[]> {
  const { rows } = await db.query<ProviderRow>(
    `select ${providerColumns} from identity_providers order by lower(name)`,
  );
  return rows;
}

/** By its name exactly as it was made. */
export async function findProvider(db: Queryable, name: string): Promise<ProviderRow | undefined> {
  const { rows } = await db.query<ProviderRow>(`select ${providerColumns} from identity_providers where name = $1`, [
    name,
  ]);
  return rows[0];
}

/** @returns undefined when the name is taken, in whatever case */
export async function insertProvider(
  db: Queryable,
  provider: Omit<ProviderRow, 'updatedAt'> & { readonly actor: string },
): Promise<ProviderRow | undefined> {
  const { rows } = await db.query<ProviderRow>(
    `insert into identity_providers (id, name, config, updated_by) values ($1, $2, $3, $4)
     on conflict do nothing returning ${providerColumns}`,
    [provider.id, provider.name, JSON.stringify(provider.config), provider.actor],
  );
  return rows[0];
}

export async function updateProvider(
  db: Queryable,
  provider: { readonly id: string; readonly config: ProviderConfig; readonly actor: string },
): Promise<ProviderRow | undefined> {
  const { rows } = await db.query<ProviderRow>(
    `update identity_providers set config = $2, updated_by = $3, updated_at = clock_timestamp()
      where id = $1 returning ${providerColumns}`,
    [provider.id, JSON.stringify(provider.config), provider.actor],
  );
  return rows[0];
}

export async function deleteProvider(db: Queryable, id: string): Promise<void> {
  await db.query('delete from identity_providers where id = $1', [id]);
}

/** Other subjects than before: a provider that names people anew must not find old links. */
export async function deleteLinks(db: Queryable, provider: string): Promise<void> {
  await db.query('delete from identity_links where provider = $1', [provider]);
}

/** What the groups of a provider brought, when nothing keeps it equal to them any more. */
export async function deleteMembershipsFrom(db: Queryable, source: string): Promise<void> {
  await db.query('delete from members where source = $1', [source]);
}

/** @returns whether there was one */
export async function deleteLinkOf(db: Queryable, provider: string, userId: string): Promise<boolean> {
  const { rowCount } = await db.query('delete from identity_links where provider = $1 and user_id = $2', [
    provider,
    userId,
  ]);
  return rowCount > 0;
}

/** The person of an account; one who is gone is none. */
export async function findLinked(db: Queryable, provider: string, subject: string): Promise<string | undefined> {
  const { rows } = await db.query<{ user_id: string }>(
    `select l.user_id from identity_links l join auth."user" u on u.id = l.user_id
      where l.provider = $1 and l.subject = $2`,
    [provider, subject],
  );
  return rows[0]?.user_id;
}

/**
 * Links an account to a person. A link of either to somebody who is gone makes room.
 * @returns whose account it is now, and undefined when the person has another account of this provider
 */
export async function linkAccount(
  tx: Queryable,
  { provider, subject, userId }: { readonly provider: string; readonly subject: string; readonly userId: string },
): Promise<string | undefined> {
  await tx.query(
    `delete from identity_links where provider = $1 and subject = $2
        and not exists (select from auth."user" where id = user_id)`,
    [provider, subject],
  );
  await tx.query('insert into identity_links (provider, subject, user_id) values ($1, $2, $3) on conflict do nothing', [
    provider,
    subject,
    userId,
  ]);
  const { rows } = await tx.query<{ user_id: string }>(
    'select user_id from identity_links where provider = $1 and subject = $2',
    [provider, subject],
  );
  return rows[0]?.user_id;
}

export async function touchLink(
  db: Queryable,
  link: { readonly provider: string; readonly subject: string; readonly isAdministrator: boolean; readonly now: Date },
): Promise<void> {
  await db.query(
    `update identity_links set used_at = $4, administrator_at = case when $3 then $4 else administrator_at end
      where provider = $1 and subject = $2`,
    [link.provider, link.subject, link.isAdministrator, link.now],
  );
}

/**
 * The providers through which somebody came in as an administrator, who is one still. Who is disabled, `isDisabled`
 * of people_state, does not count.
 */
export async function listProvenProviders(db: Queryable): Promise<readonly string[]> {
  const { rows } = await db.query<{ provider: string }>(
    `select distinct l.provider
       from identity_links l
       join auth."user" u on u.id = l.user_id and u.role = 'admin'
       left join people_state s on s.user_id = u.id
      where l.administrator_at is not null and s.disabled is not true`,
  );
  return rows.map(({ provider }) => provider);
}
