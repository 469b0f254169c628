import { exportAudit, listAudit } from '#audit/read.ts';
import type { Handlers } from '#contract/routes.ts';
import type { Database } from '#database/pool.ts';

/** GET /audit: pages for people, lines for programs. */
export function createAuditHandlers({ database }: { readonly database: Database }): Pick<Handlers, 'listAudit'> {
  return {
    listAudit: async ({ query, wanted }) => {
      const { limit, after, since, until, ...rest } = query;
      const filter = { ...rest, since: dateOf(since), until: dateOf(until) };
      if (wanted === 'text') return { text: exportAudit(database, filter) };
      const beyond = after === undefined ? undefined : Number(after);
      return { json: await listAudit(database, filter, { beyond, limit }) };
    },
  };
}

const dateOf = (text: string | undefined) => (text === undefined ? undefined : new Date(text));
