import { z } from 'zod';
import { reasonView } from './problem.ts';
import { environmentName, page, projectNamePart, revision, teamName, time } from './values.ts';

const changeStates = ['accepted', 'committed', 'unchanged', 'refused'] as const;

const changeId = z
  .string()
  .regex(/^chg_[0-9a-hjkmnp-tv-z]{26}$/, 'the id of a change: chg_ and 26 letters and digits')
  .describe('Id of the change.');

/** One wish to edit the state repository. It ends as a commit ('committed', 'unchanged') or as a refusal. */
export const changeView = z
  .object({
    id: z.string(),
    kind: z.enum(['put', 'delete', 'rollback', 'render', 'settings']),
    environment: z.string(),
    team: z.string().describe('Empty for a change of the environment itself.'),
    project: z.string().describe('Empty for a change of the environment itself.'),
    actor: z.string(),
    message: z.string(),
    state: z.enum(changeStates),
    revision: z.string().nullable().describe('The commit it ended as; null until then.'),
    problem: reasonView.nullable().describe('Why it was refused.'),
    createdAt: time,
    finishedAt: time.nullable(),
  })
  .meta({ id: 'Change' });

export const changeParams = z.strictObject({ id: changeId });
export const changeQuery = z.strictObject({
  wait: z
    .string()
    .regex(/^\d{1,2}$/, 'whole seconds from 0 to 30')
    .transform(Number)
    .pipe(z.int().max(30))
    .default(0)
    .describe('Answer only when the change has ended, after this many seconds at the latest.')
    .meta({ override: { type: 'integer', minimum: 0, maximum: 30, default: 0, pattern: undefined } }),
});

export const changesQuery = z.strictObject({
  ...page,
  environment: environmentName.optional(),
  team: teamName.optional(),
  project: projectNamePart.optional(),
  state: z.enum(changeStates).optional(),
});

export const rollbackBody = z.strictObject({
  revision: revision.describe('The commit whose spec should hold again.'),
  message: z.string().max(1000).optional(),
});
