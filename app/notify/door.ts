import { createHash, createHmac } from 'node:crypto';
import type { Secret } from '#base/secret.ts';
import type { Message } from './message.ts';

/** Where notifications go, as environment.yaml names it. Addresses and keys are names of organization secrets. */
export type Door =
  | { readonly kind: 'webhook'; readonly url: string; readonly key?: string | undefined }
  | { readonly kind: 'slack'; readonly url: string }
  | { readonly kind: 'mail'; readonly to: readonly string[] };

/** What limits are counted for: the same door of the same environment, whatever else is said of it. */
export function targetOf(environment: string, door: Door): string {
  const named = door.kind === 'mail' ? [...door.to].sort().join(' ') : door.url;
  return createHash('sha256').update(`${environment}\n${door.kind}\n${named}`).digest('hex').slice(0, 32);
}

/** What a webhook is sent beside the body. The signature is over the body's bytes. */
export function webhookHeaders(
  { id, event }: Pick<Message, 'id' | 'event'>,
  body: string,
  key: Secret | undefined,
): Readonly<Record<string, string>> {
  const headers = { 'content-type': 'application/json', 'x-plinth-delivery': id, 'x-plinth-event': event };
  if (key === undefined) return headers;
  const signature = createHmac('sha256', key.reveal()).update(body).digest('hex');
  return { ...headers, 'x-plinth-signature-256': `sha256=${signature}` };
}

const colours: Readonly<Partial<Record<Message['event'], string>>> = {
  failed: '#d1242f',
  degraded: '#d1242f',
  fight: '#d1242f',
  'needs-confirmation': '#bf8700',
  held: '#bf8700',
  drift: '#bf8700',
  summary: '#bf8700',
};
const good = '#1a7f37';

/**
 * The payload of an incoming webhook as Slack, Mattermost, Rocket.Chat and Discord's `/slack` take it. Nothing in it
 * mentions people or channels, whatever a reason holds: Slack reads mentions in angle brackets only, others after an @.
 */
export function slackPayload({ event, summary, details, url }: Message): string {
  const lines = [...details.map((line) => `• ${plain(line)}`), ...(url === null ? [] : [`<${url}|Open in Plinth>`])];
  const text = lines.join('\n');
  const attachments = text === '' ? [] : [{ color: colours[event] ?? good, fallback: plain(summary), text }];
  return JSON.stringify({ text: plain(summary), attachments });
}

/** `&`, `<` and `>` as Slack wants them; a zero-width space after each @ and backtick keeps them from meaning anything. */
const plain = (text: string) =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/[@`*_~]/g, '$&\u200B');

/** Subject and text of a mail. */
export function mailOf({ environment, summary, details, revision, at, url }: Message): {
  readonly subject: string;
  readonly text: string;
} {
  const lines = [
    summary,
    ...(details.length === 0 ? [] : ['', ...details.map((line) => `- ${line}`)]),
    '',
    `Seen at ${at}${revision === null ? '' : `, revision ${revision}`}.`,
    ...(url === null ? [] : [url]),
    '',
    `You get this because environment.yaml of ${environment} says so under notify.`,
  ];
  return { subject: `[Plinth] ${summary}`, text: lines.join('\n') };
}
