import { z } from 'zod';
import { defineRoute } from './route.ts';
import { listOf, page, time } from './values.ts';

const outcomes = ['done', 'denied', 'failed'] as const;
const digest = (when: string) =>
  z.string().nullable().describe(`Digest of what was acted on as it was ${when}; equal content has an equal digest.`);

const auditView = z
  .object({
    seq: z.int().describe('Its number: 1, 2, 3 … without gaps.'),
    id: z.string(),
    at: time,
    actor: z.object({
      id: z.string(),
      name: z.string(),
      kind: z.enum(['user', 'service-account', 'system', 'anonymous']),
      credential: z.string().nullable().describe('By which proof: `token:tok_…`, `session:ses_…`, `password`.'),
    }),
    action: z.string().describe('Name of the route (`putProject`), or of what is none: `signIn`, `push`.'),
    target: z.string().describe('What was acted on, as a path.'),
    outcome: z.enum(outcomes),
    status: z.int().nullable(),
    address: z.string().nullable(),
    userAgent: z.string().nullable(),
    requestId: z.string().nullable(),
    before: digest('before'),
    after: digest('after'),
    detail: z.record(z.string(), z.unknown()).nullable(),
    previous: z.string().describe('Hash of the record before; zeros for the first.'),
    hash: z.string().describe('SHA-256 of the record with `previous`.'),
  })
  .meta({ id: 'AuditRecord' });

const auditQuery = z.strictObject({
  limit: page.limit,
  after: z
    .string()
    .regex(/^\d{1,15}$/, '`next` of the page before')
    .optional()
    .describe('`next` of the page before.'),
  actor: z.string().min(1).max(320).optional().describe('Id or name of who did it.'),
  action: z.string().min(1).max(100).optional(),
  target: z.string().min(1).max(500).optional().describe('The beginning of it.'),
  outcome: z.enum(outcomes).optional(),
  since: time.optional().describe('From this moment on.'),
  until: time.optional().describe('Before this moment.'),
});

/** The record of who did what. */
export const auditRoutes = [
  defineRoute({
    name: 'listAudit',
    tag: 'Audit',
    method: 'GET',
    path: '/api/v1/audit',
    summary: 'Who did what, the newest first; as text every record that fits, in the order of the chain',
    permission: 'audit:read',
    reach: 'organization',
    query: auditQuery,
    reply: {
      json: listOf(auditView),
      text: 'One JSON object a line, from the oldest; `limit` and `after` mean nothing.',
    },
  }),
] as const;
