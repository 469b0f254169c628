import { z } from 'zod';
import { healthStates } from './projects.ts';

export const environmentView = z
  .object({
    name: z.string(),
    runtime: z.object({
      kind: z.enum(['kubernetes', 'docker', 'none']),
      because: z.string().describe('Why it is this runtime.'),
      connected: z.boolean(),
      reason: z.string().describe('What is wrong with the connection; empty when nothing is.'),
    }),
    domain: z.string(),
    next: z.string().nullable().describe('The environment that promotions go to.'),
    projects: z.object({
      total: z.int(),
      health: z.partialRecord(z.enum(healthStates), z.int()).describe('Health → how many projects.'),
    }),
    revision: z.string().nullable().describe('The last commit that was looked at completely.'),
  })
  .meta({ id: 'EnvironmentSummary' });

/** One environment with its settings. */
export const environmentDetail = z
  .object({
    ...environmentView.shape,
    etag: z.string().nullable().describe('Blob id of environment.yaml.'),
    signatures: z
      .object({
        required: z.boolean(),
        ownKey: z.string().nullable().describe('The public SSH key that Plinth signs its commits with.'),
        unsigned: z
          .array(z.object({ path: z.string(), revision: z.string(), why: z.string() }))
          .describe('What is not applied, because it came by a commit that does not count.'),
      })
      .describe('Whose commits are applied.'),
    settings: z.record(z.string(), z.unknown()).describe('environment.yaml with every default filled in.'),
  })
  .meta({ id: 'Environment' });
