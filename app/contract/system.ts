import { z } from 'zod';

export const healthView = z.object({ status: z.literal('ok') }).meta({ id: 'Alive' });

const partView = z.object({
  ok: z.boolean(),
  ms: z.number().describe('How long the question took, in milliseconds.'),
  reason: z.string().describe('What is wrong; empty when nothing is.'),
});

/**
 * Database and repository must be there to be ready. A cluster that is out is shown, and its projects wait; so is the
 * Git remote, and changes wait.
 */
export const readyView = z
  .object({
    ready: z.boolean(),
    database: partView,
    git: partView,
    remote: partView.nullable().describe('The Git remote; null: the state repository is here.'),
    clusters: z.record(z.string(), partView).describe('By the name of the environment.'),
  })
  .meta({ id: 'Ready' });

export const schemaParams = z.strictObject({
  file: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}\.json$/, 'the name of a schema such as project.json'),
});

/** A JSON document that is sent as it is. */
export const document = z.record(z.string(), z.unknown());
