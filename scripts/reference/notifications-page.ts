import { z } from 'zod';
import { messageSchema } from '#notify/message.ts';
import { code, generatedNote, table } from './markdown.ts';

interface Property {
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly anyOf?: readonly Property[];
  readonly items?: Property;
}

/** The JSON Schema of a webhook's body. */
export const messageJsonSchema = () => ({
  ...z.toJSONSchema(messageSchema, { io: 'input', target: 'draft-2020-12' }),
  title: 'Notification of Plinth',
});

/** The page about notifications: who is told, what a webhook gets, how it is checked, what happens on failure. */
export function notificationsPage(): string {
  // zod writes an object schema with its properties.
  const { properties } = messageJsonSchema() as unknown as { properties: Readonly<Record<string, Property>> };
  return `${generatedNote('app/notify/message.ts')}
# Notifications

\`notify\` of an environment.yaml says who is told what:

\`\`\`yaml
notify:
  - kind: webhook            # POST of JSON, as below
    url: release-hook        # name of the organization secret that holds the address
    key: release-hook-key    # name of the organization secret that signs the body
    on: [applied, failed]
    projects: [shop/*]
    mostPerHour: 60
  - kind: slack              # an incoming webhook of Slack, Mattermost, Rocket.Chat or Discord (…/slack)
    url: slack-operations
  - kind: mail
    to: [operations@example.com]
\`\`\`

One transition of a project is one message, however many replicas see it. A project that comes and goes is told at first
and then with pauses of 30 s up to an hour; \`changes\` says how often it changed. Beyond \`mostPerHour\` messages are held
back and summed up in one (\`event: summary\`) when the hour is over. Values of secrets are masked in every text.

## Delivery
A message is stored before it is sent and sent at least once: a receiver drops what it has seen by \`id\`. 2xx takes it.
408, 425, 429, 5xx and a receiver that cannot be reached are tried again for a day, with growing random pauses up to 15
minutes and never before \`Retry-After\`. Everything else (other 4xx, redirections) gives it up at once; what was given
up stays for 30 days with the reason, and is an error in the log.

Addresses are asked over HTTPS. Private, loopback, link-local and metadata addresses are refused; EGRESS_ALLOWED_RANGES
allows networks of your own, also over plain HTTP. A name is resolved once and the connection goes to what was judged.

## Webhook
| header | |
| --- | --- |
| ${code('X-Plinth-Delivery')} | ${code('id')} of the message, the same at each try |
| ${code('X-Plinth-Event')} | ${code('event')} of the message |
| ${code('X-Plinth-Signature-256')} | ${code('sha256=')} and the HMAC-SHA256 of the body's bytes with the key, in hexadecimal; only where a key is named |

\`\`\`js
const wanted = 'sha256=' + createHmac('sha256', key).update(bytes).digest('hex');
const given = request.headers['x-plinth-signature-256'] ?? '';
const ok = given.length === wanted.length && timingSafeEqual(Buffer.from(given), Buffer.from(wanted));
\`\`\`

The body (schemas/notification.schema.json):

${table(
  ['field', 'type', 'meaning'],
  Object.entries(properties).map(([name, property]) => [code(name), typeOf(property), property.description ?? '']),
)}
`;
}

function typeOf({ anyOf, type, enum: names, const: only, items }: Property): string {
  if (anyOf !== undefined) return anyOf.map(typeOf).join(' or ');
  if (only !== undefined) return code(only);
  if (names !== undefined) return names.map(code).join(' ');
  if (type === 'array' && items?.enum !== undefined) return 'array of events';
  if (type === 'array' && items !== undefined) return `array of ${typeOf(items)}`;
  return [type ?? []].flat().join(' or ');
}
