import type { Queryable } from '#database/pool.ts';
import type { ProjectKey } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';

/** A rollback that was committed. */
interface Rollback extends ProjectKey {
  readonly actor: string;
  /** The spec that it returned to. */
  readonly content: string;
  /** The newest commit of the spec when it was asked for. */
  readonly leaves: string | undefined;
}

/**
 * A rollback turns automatic promotion off, so that what was left does not come again by itself. It ends with the next
 * deliberate change of the spec; a switch that a person set stays as it is.
 */
export async function holdPromotion(tx: Queryable, rollback: Rollback): Promise<void> {
  const { environment, team, project, actor, content, leaves } = rollback;
  const from = leaves === undefined ? 'what stood there' : leaves.slice(0, 12);
  await tx.query(
    `insert into switches as s (environment, team, project, action, reason, actor, left_revision, spec_blob)
     values ($1, $2, $3, 'promote', $4, $5, $6, $7)
     on conflict (environment, team, project, action) do update
     set reason = excluded.reason, actor = excluded.actor, left_revision = excluded.left_revision,
         spec_blob = excluded.spec_blob, until = null, created_at = now(), version = nextval('switch_versions')
     where s.spec_blob is not null or s.until <= now()`,
    [environment, team, project, `rolled back from ${from} by ${actor}`, actor, leaves ?? null, blobIdOf(content)],
    'promotion-hold',
  );
}

/** A spec as it stands in Git now; no blob: it is gone. */
export interface Standing {
  readonly key: ProjectKey;
  readonly blob: string | undefined;
}

/** Ends what rollbacks turned off, where the spec is no longer the one that was returned to. */
export async function freePromotion(tx: Queryable, standing: readonly Standing[]): Promise<void> {
  await tx.query(
    `delete from switches s
     using unnest($1::text[], $2::text[], $3::text[], $4::text[]) as k(environment, team, project, blob)
     where (s.environment, s.team, s.project, s.action) = (k.environment, k.team, k.project, 'promote')
       and s.spec_blob <> coalesce(k.blob, '')`,
    [
      standing.map(({ key }) => key.environment),
      standing.map(({ key }) => key.team),
      standing.map(({ key }) => key.project),
      standing.map(({ blob }) => blob ?? null),
    ],
    'promotion-free',
  );
}
