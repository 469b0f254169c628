import { z } from 'zod';
import { defineRoute } from './route.ts';
import { environmentParams, listOf, time } from './values.ts';

const deliveryView = z
  .object({
    id: z.string().describe('As the receiver gets it in X-Plinth-Delivery.'),
    kind: z.enum(['webhook', 'slack', 'mail']),
    to: z.array(z.string()).describe('The organization secret that holds the address, or the mail addresses.'),
    attempts: z.int(),
    reason: z.string().describe('What was wrong the last time.'),
    createdAt: time,
    dueAt: time.nullable().describe('When it is tried again; null: it was given up.'),
  })
  .meta({ id: 'Delivery' });

/** What others are told. */
export const notifyRoutes = [
  defineRoute({
    name: 'listDeliveries',
    tag: 'Notifications',
    method: 'GET',
    path: '/api/v1/environments/{environment}/deliveries',
    summary: 'Notifications that were tried and not taken: the newest hundred',
    permission: 'secret:read',
    reach: 'organization',
    params: environmentParams,
    reply: { json: listOf(deliveryView) },
  }),
] as const;
