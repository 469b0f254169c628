import { type Egress, hostOf, NotAsked } from '#base/egress.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import { organization } from '#secrets/scope.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { type DeliveryRow, deleteDelivery } from './delivery-store.ts';
import { type Door, mailOf, slackPayload, webhookHeaders } from './door.ts';
import type { Mailer } from './mail.ts';
import type { Message } from './message.ts';

export interface DeliverDoors {
  readonly database: Database;
  readonly secrets: Pick<Secrets, 'resolve'>;
  readonly mailer: Mailer;
  readonly egress: Egress;
}

/** Why a notification was not taken. Never holds an address, only its host. */
export interface Failure {
  readonly reason: string;
  /** true: trying again cannot help. */
  readonly final: boolean;
  /** What the receiver asks to wait; undefined: it says nothing. */
  readonly retryAfterMs?: number | undefined;
}

const mailUselessAfterMs = 24 * 3_600_000;
/** Answers that say "not now"; every other 4xx says "never". */
const notNow: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * Hands one notification over. @returns why it was not taken, or undefined when it was
 * @throws the signal's reason when it was aborted, and what the database throws
 */
export async function deliver(
  doors: DeliverDoors,
  { id, door }: Pick<DeliveryRow, 'id' | 'door'>,
  text: string,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const message = JSON.parse(text) as Message; // we wrote it
  try {
    if (door.kind === 'mail') return await sendMails(doors, id, door.to, message);
    return await post(doors, door, { message, text, signal });
  } catch (error) {
    if (error instanceof NotAsked) return { reason: error.message, final: error.final };
    if (Fault.is(error) && error.code !== 'DATABASE_UNAVAILABLE') return { reason: error.message, final: !error.retry };
    throw error;
  }
}

interface Post {
  readonly message: Message;
  readonly text: string;
  readonly signal: AbortSignal;
}

async function post(
  { secrets, egress }: DeliverDoors,
  door: Exclude<Door, { kind: 'mail' }>,
  { message, text, signal }: Post,
): Promise<Failure | undefined> {
  const names = [door.url, ...(door.kind === 'webhook' && door.key !== undefined ? [door.key] : [])];
  const values = await secrets.resolve([organization], names);
  const absent = names.find((name) => !values.has(name));
  // Unsigned where a signature was asked for would be worse than nothing.
  if (absent !== undefined) return { reason: `there is no organization secret ${absent}`, final: false };
  const secretOf = (name: string) => values.get(name)?.value;
  const address = secretOf(door.url)?.reveal() ?? '';
  const key = door.kind === 'webhook' && door.key !== undefined ? secretOf(door.key) : undefined;
  const body = door.kind === 'webhook' ? text : slackPayload(message);
  const headers = door.kind === 'webhook' ? webhookHeaders(message, body, key) : { 'content-type': 'application/json' };
  const { status, text: said, retryAfterMs } = await egress.send(address, { method: 'POST', headers, body, signal });
  if (status >= 200 && status < 300) return undefined;
  const host = hostOf(address) ?? 'the receiver';
  // Slack says what is wrong in one word; anything longer may repeat what it was sent.
  const word = /^[a-z_]{2,40}$/.test(said) ? ` (${said})` : '';
  const why = status >= 300 && status < 400 ? ', and redirections are not followed' : '';
  const final = status < 500 && !notNow.has(status);
  return { reason: `${host} answers ${status}${word}${why}`, final, retryAfterMs };
}

/** The mails' own outbox takes them over, in one transaction with the end of this delivery. */
async function sendMails(
  { database, mailer }: DeliverDoors,
  id: string,
  to: readonly string[],
  message: Message,
): Promise<Failure | undefined> {
  const { subject, text } = mailOf(message);
  await database.transaction(async (tx) => {
    for (const each of to)
      await mailer.send({ to: each, subject, text: new Secret(text), uselessAfterMs: mailUselessAfterMs }, tx);
    await deleteDelivery(tx, id);
  });
  mailer.wake();
  return undefined;
}
