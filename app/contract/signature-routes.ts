import { z } from 'zod';
import { defineRoute } from './route.ts';
import { environmentParams, revision } from './values.ts';

/** What a person says about commits that nobody who counts has signed. */
export const signatureRoutes = [
  defineRoute({
    name: 'acceptRevision',
    tag: 'Environments',
    method: 'POST',
    path: '/api/v1/environments/{environment}/accept',
    summary: 'Take everything up to a revision as if it had been signed',
    permission: 'environment:write',
    reach: 'organization',
    params: environmentParams,
    body: z.strictObject({
      revision: revision.describe('The revision that was looked at; the branch leads to it.'),
      reason: z.string().min(1).max(500).describe('Why, for the audit.'),
    }),
    reply: {},
  }),
] as const;
