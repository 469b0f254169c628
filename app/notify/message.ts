import { z } from 'zod';

/** Everything that a notification can be about. `summary` stands for others that were too many for an hour. */
export const events = [
  'applied',
  'healthy',
  'failed',
  'degraded',
  'recovered',
  'drift',
  'fight',
  'needs-confirmation',
  'held',
  'summary',
] as const;
export type Event = (typeof events)[number];

/** The most that a message holds of each: it is read by people, and by receivers with limits of their own. */
export const bounds = { details: 10, text: 500, projects: 20 } as const;

const text = z.string().max(bounds.text);

/** The body of a webhook, and what Slack messages and mails are written from. */
export const messageSchema = z.strictObject({
  schema: z.literal('plinth.dev/notification/v1'),
  id: z
    .string()
    .describe('Of this delivery, the same at each try and in X-Plinth-Delivery: what came before is dropped by it.'),
  event: z.enum(events).describe('What happened.'),
  says: z.array(z.enum(events)).describe('Everything that this one message tells; the event first.'),
  at: z.iso.datetime().describe('When it was seen, UTC. Messages may arrive in another order.'),
  environment: z.string(),
  team: z.string().nullable().describe('null in a summary.'),
  project: z.string().nullable().describe('null in a summary.'),
  revision: z.string().nullable().describe('The commit of the state repository that is applied.'),
  phase: z.string().nullable().describe('As GET …/projects/{team}/{project} has it.'),
  health: z.string().nullable().describe('As GET …/projects/{team}/{project} has it.'),
  summary: text.describe('One sentence for people.'),
  details: z
    .array(text)
    .max(bounds.details)
    .describe('More sentences: which object, and why. Secret values are masked.'),
  changes: z.int().min(1).describe('How many changes this message stands for.'),
  counts: z.partialRecord(z.enum(events), z.int()).nullable().describe('Of a summary: how often each happened.'),
  projects: z.array(z.string()).nullable().describe('Of a summary: the first of the projects, as team/project.'),
  url: z.string().nullable().describe('Where to read more; null where this installation knows no address of its own.'),
});
export type Message = Readonly<z.output<typeof messageSchema>>;

/** Cuts a text to what a message may hold, without leaving half a character behind. */
export function cut(long: string, most: number = bounds.text): string {
  const flat = long.replace(/\p{Cc}+/gu, ' ').toWellFormed();
  return flat.length <= most
    ? flat
    : `${flat
        .slice(0, most - 1)
        .toWellFormed()
        .replace(/\uFFFD$/, '')}…`;
}
