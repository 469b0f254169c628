import { z } from 'zod';
import { defineRoute } from './route.ts';
import { document } from './system.ts';

/** What Git hosts send. Each delivery proves itself by its signature; none is believed beyond "look again". */
export const webhookRoutes = [
  defineRoute({
    name: 'receiveGitWebhook',
    tag: 'Webhooks',
    method: 'POST',
    path: '/api/v1/webhooks/git/{provider}',
    summary: 'A delivery of the Git host (github, gitlab, gitea, bitbucket): the state repository is looked at now',
    permission: 'public',
    foreign: true,
    audit: false, // traffic: what it brings about is a commit, and recorded as such
    params: z.object({ provider: z.string().max(100) }),
    body: document,
    bytes: ['application/json', 'application/x-www-form-urlencoded'],
    mostBytes: 3 * 1024 * 1024,
    reply: {},
    status: 202,
  }),
] as const;
