import { z } from 'zod';
import { expressionFault } from './expression.ts';
import { scheduleFault } from './schedule.ts';

/**
 * The part of environment.yaml that says how an environment is run: what reconcile may do and when, whose commits
 * count, who is told, and which kinds of other operators projects may use. None of it shapes manifests.
 */

/** `team/project`, each a name or `*`. */
const projectPattern = z
  .string()
  .regex(/^(\*|[a-z][a-z0-9-]*)\/(\*|[a-z][a-z0-9-]*)$/, 'team/project, each a name or *, such as shop/* or */*');
const projects = z.array(projectPattern).min(1).max(100).default(['*/*']);

/** What can be stopped by itself. `heal` is undoing foreign edits, `promote` carrying specs onwards. */
export const actions = ['apply', 'heal', 'prune', 'promote'] as const;
export type Action = (typeof actions)[number];

/** heal: foreign edits are undone; warn: they are only told; detect: nothing is written at all, differences are told. */
export const modes = ['heal', 'warn', 'detect'] as const;
export type Mode = (typeof modes)[number];

const window = z.strictObject({
  kind: z
    .enum(['allow', 'deny'])
    .describe('allow: the actions happen only while such a window is open; deny: never while it is. deny wins.'),
  schedule: z
    .string()
    .max(100)
    .regex(/^\S+ \S+ \S+ \S+ \S+$/, 'when it opens, five fields of cron such as 0 22 * * 5')
    .describe('When it opens: minute, hour, day, month, weekday of cron.'),
  duration: z
    .string()
    .regex(/^[1-9]\d{0,4}[mhd]$/, 'how long it stays open, such as 90m, 8h or 2d')
    .describe('How long it stays open: elapsed time, whatever clocks do meanwhile.'),
  timeZone: z.string().max(64).default('UTC').describe('Time zone of the schedule, such as Europe/Berlin.'),
  projects: projects.describe('Which projects it is about.'),
  actions: z
    .array(z.enum(actions))
    .min(1)
    .default(['apply', 'prune', 'promote'])
    .describe('What it allows or denies. Without heal, foreign edits are undone also while it is frozen.'),
  manual: z.boolean().default(false).describe('true: a reconcile that a person asks for happens all the same.'),
  reason: z.string().min(1).max(300).describe('Why, for whoever waits.'),
});

/** A window that can never be read, or never opens, would only be noticed by those who wait for it. */
const readable = (value: z.output<typeof window>, context: z.RefinementCtx): void => {
  const message = scheduleFault(value.schedule, value.timeZone);
  if (message !== undefined) context.addIssue({ code: 'custom', path: ['schedule'], message });
};

export const windowsSchema = z
  .array(window.superRefine(readable))
  .max(50)
  .default([])
  .describe('Times in which changes go out, or do not.');
export type Window = Readonly<z.output<typeof window>>;

export const reconcileSchema = z
  .strictObject({
    mode: z.enum(modes).default('heal').describe('What happens to foreign edits; a project may be stricter.'),
    adoptFrom: z
      .array(z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/, 'the id of an installation'))
      .max(20)
      .optional()
      .describe('Installations of Plinth whose objects the policy adopt may take over, beside those of nobody.'),
  })
  .prefault({})
  .describe('What reconcile does here.');

export const signaturesSchema = z
  .strictObject({
    required: z.boolean().default(false).describe('true: only revisions whose every new commit is signed are applied.'),
    keys: z
      .array(
        z
          .string()
          .max(2000)
          .regex(/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/=]+( .*)?$/, 'a public SSH key'),
      )
      .max(200)
      .default([])
      .describe("Public SSH keys whose signatures count, one a line of authorized_keys. Plinth's own always counts."),
  })
  .prefault({})
  .describe('Whose commits are applied.');

/** What can be told. `recovered` follows degraded or failed. */
export const tellings = [
  'applied',
  'healthy',
  'failed',
  'degraded',
  'recovered',
  'drift',
  'fight',
  'needs-confirmation',
  'held',
] as const;
export type Telling = (typeof tellings)[number];

const secretName = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'the name of a secret');
const about = {
  on: z
    .array(z.enum(tellings))
    .min(1)
    .default(['failed', 'degraded', 'recovered', 'fight', 'needs-confirmation'])
    .describe('What is told.'),
  projects: projects.describe('Which projects it is about.'),
  mostPerHour: z.int().min(1).max(1000).default(60).describe('Beyond this many an hour they are summed up in one.'),
};
export const notifySchema = z
  .array(
    z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('webhook').describe('POST of JSON, signed with HMAC-SHA256 where a key is named.'),
        url: secretName.describe('Organization secret that holds the address.'),
        key: secretName.optional().describe('Organization secret that signs the body (X-Plinth-Signature-256).'),
        ...about,
      }),
      z.strictObject({
        kind: z.literal('slack').describe('An incoming webhook as Slack, Mattermost and others take it.'),
        url: secretName.describe('Organization secret that holds the address.'),
        ...about,
      }),
      z.strictObject({
        kind: z.literal('mail').describe('Mail, where a mail server is set up.'),
        to: z.array(z.email()).min(1).max(20).describe('Who gets it.'),
        ...about,
      }),
    ]),
  )
  .max(20)
  .default([])
  .describe('Who is told what.');
export type Notification = Readonly<z.output<typeof notifySchema>[number]>;

const expression = (type: 'bool' | 'string') =>
  z
    .string()
    .min(1)
    .max(1000)
    .superRefine((text, context) => {
      const fault = expressionFault(text, type);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: `${text} ${fault}` });
    });
/** Groups of Kubernetes itself: what is in them decides over the cluster, or is Plinth's to make. */
const ownGroup = /(^|\.)(k8s\.io|kubernetes\.io)\//;
const kind = z.strictObject({
  apiVersion: z
    .string()
    .regex(/^[a-z0-9.-]+\.[a-z0-9.-]+\/v\d+([a-z]+\d+)?$/, 'group/version such as cert-manager.io/v1')
    .refine((text) => !ownGroup.test(text) || text.startsWith('snapshot.storage.k8s.io/'), {
      message: 'kinds of Kubernetes itself cannot be named here; they decide over the cluster',
    })
    .describe('Group and version.'),
  kind: z
    .string()
    .regex(/^[A-Z][A-Za-z0-9]{0,62}$/, 'a kind such as Certificate')
    .describe('Kind.'),
  plural: z
    .string()
    .regex(/^[a-z0-9]{1,63}$/, 'the plural name such as certificates')
    .describe('Plural name in paths.'),
  health: z
    .strictObject({
      healthy: expression('bool')
        .optional()
        .describe('True: healthy. An expression of CEL over `self`, the live object.'),
      degraded: expression('bool').optional().describe('True: degraded; looked at before healthy.'),
      suspended: expression('bool').optional().describe('True: suspended.'),
      reason: expression('string')
        .optional()
        .describe('A text for what is not healthy; default the message of its conditions.'),
    })
    .optional()
    .describe('Unset: conditions Ready, Stalled, Reconciling, as most operators keep them.'),
});
export const kindsSchema = z
  .array(kind)
  .max(50)
  .default([])
  .describe('Kinds of other operators, in the namespace of the project, that its `objects` may hold.');

/** Whether a pattern `team/project` means this project. */
export function matchesProject(
  pattern: string,
  { team, project }: { readonly team: string; readonly project: string },
) {
  const [wantedTeam, wantedProject] = pattern.split('/');
  return (wantedTeam === '*' || wantedTeam === team) && (wantedProject === '*' || wantedProject === project);
}
