import type { Handlers } from '#contract/routes.ts';
import type { Database } from '#database/pool.ts';
import { listDeliveries } from './delivery-store.ts';

const most = 100;

/** What a person asks about notifications. */
export const createDeliveryHandlers = ({ database }: { readonly database: Database }) =>
  ({
    listDeliveries: async ({ params: { environment } }) => {
      const rows = await listDeliveries(database, environment, most);
      const items = rows.map(({ id, kind, to, attempts, reason, createdAt, dueAt }) => ({
        id,
        kind,
        to: [...to],
        attempts,
        reason,
        createdAt: createdAt.toISOString(),
        dueAt: dueAt?.toISOString() ?? null,
      }));
      return { json: { items, next: null } };
    },
  }) satisfies Pick<Handlers, 'listDeliveries'>;
