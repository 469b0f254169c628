import { z } from 'zod';
import { environmentName, projectNamePart, teamName, time } from './values.ts';

/** The same as those of environment.yaml; the handlers' types hold them equal. */
const actions = ['apply', 'heal', 'prune', 'promote'] as const;
const modes = ['heal', 'warn', 'detect'] as const;

const action = z
  .enum(actions)
  .describe(
    'apply: what Git brings. heal: foreign edits are undone. prune: deleting. promote: carrying specs onwards.',
  );

const environment = { environment: environmentName };
const team = { ...environment, team: teamName };
const project = { ...team, project: projectNamePart };
export const environmentSwitchParams = z.strictObject({ ...environment, action });
export const teamSwitchParams = z.strictObject({ ...team, action });
export const projectSwitchParams = z.strictObject({ ...project, action });

export const switchBody = z.strictObject({
  reason: z.string().trim().min(1).max(500).describe('Why, for whoever waits.'),
  until: z.iso.datetime({ offset: true }).optional().describe('It ends by itself then; in the future.'),
});

/** An action that somebody turned off. */
export const switchView = z
  .object({
    action,
    team: z.string().nullable().describe('null: it is off in the whole environment.'),
    project: z.string().nullable().describe('null: for every project of the team, or of the environment.'),
    reason: z.string(),
    actor: z.string(),
    until: time.nullable().describe('It ends by itself then; null: only by DELETE.'),
    leftRevision: z
      .string()
      .nullable()
      .describe('Of a rollback: the revision that was left. It ends with the next deliberate change of the spec.'),
    etag: z.string().describe('For If-Match.'),
    createdAt: time,
  })
  .meta({ id: 'Switch' });

/** Why something is not done now. */
const because = z
  .string()
  .nullable()
  .describe('Who or which window stands against it, why, and until when; null: it is allowed.');

/** What reconcile may do to a project at this moment. */
export const allowedView = z
  .object({
    mode: z.enum(modes).describe('The stricter one of environment and project.'),
    apply: because,
    heal: because,
    prune: because,
    promote: because,
    until: time.nullable().describe('When this may change by itself: a window opens or closes, a switch ends.'),
  })
  .meta({ id: 'Allowed' });

/** A window that is about a project, and whether it is open. */
export const windowView = z
  .object({
    kind: z.enum(['allow', 'deny']),
    open: z.boolean(),
    until: time.nullable().describe('When it next opens or closes; null: never again.'),
    schedule: z.string(),
    duration: z.string(),
    timeZone: z.string(),
    actions: z.array(z.enum(actions)),
    manual: z.boolean().describe('true: POST …/reconcile passes all the same.'),
    reason: z.string(),
  })
  .meta({ id: 'Window' });
