import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import type { HostKind } from './hosts/host.ts';

/** GitHub sends 25 MB at the most and cuts at 2,048 commits; what wakes us needs none of that. */
export const mostWebhookBytes = 3 * 1024 * 1024;

/** What a webhook says happened. All of it is hearsay, signed or not: it wakes, and Git is asked for the truth. */
export interface Webhook {
  readonly provider: HostKind;
  readonly kind: 'push' | 'ping' | 'pull-request' | 'other';
  /** `owner/name` as the host writes it. */
  readonly repository: string | undefined;
  /** `refs/heads/main`; of a push of several branches the first. */
  readonly ref: string | undefined;
  /** The revision that the ref now has; undefined also for a branch that was removed. */
  readonly after: string | undefined;
}

export interface WebhookRequest {
  /** Absent: told by the headers. */
  readonly provider?: HostKind;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** As it was sent. */
  readonly body: Buffer;
  readonly secret: Secret;
  readonly now: Date;
}

/**
 * Reads one delivery: size, then the signature over the bytes as they came, and only then what they say.
 * @throws Fault BODY_TOO_LARGE | WEBHOOK_REFUSED (no host, or not signed with the secret) | BODY_INVALID
 */
export function readWebhook(request: WebhookRequest): Webhook {
  const { headers, body } = request;
  if (body.length > mostWebhookBytes) throw new Fault('BODY_TOO_LARGE', { limitBytes: mostWebhookBytes });
  const provider = request.provider ?? kindsBySender.find((each) => headers[senders[each].event] !== undefined);
  if (provider === undefined || !senders[provider].isSigned(request)) throw new Fault('WEBHOOK_REFUSED');
  const event = headers[senders[provider].event] ?? '';
  return { provider, ...senders[provider].read(event, fieldsOf(parse(request))) };
}

type Heard = Omit<Webhook, 'provider'>;

interface Sender {
  /** The header that names the event. */
  readonly event: string;
  isSigned(request: WebhookRequest): boolean;
  read(event: string, fields: Fields): Heard;
}

const senders: Readonly<Record<HostKind, Sender>> = {
  gitea: {
    event: 'x-gitea-event',
    isSigned: (request) => isHmac(request, request.headers['x-gitea-signature']),
    read: (event, fields) => readGithub(event, fields),
  },
  github: {
    event: 'x-github-event',
    isSigned: (request) => isHmac(request, withoutPrefix(request.headers['x-hub-signature-256'])),
    read: (event, fields) => readGithub(event, fields),
  },
  gitlab: { event: 'x-gitlab-event', isSigned: isSignedByGitlab, read: readGitlab },
  bitbucket: {
    event: 'x-event-key',
    isSigned: (request) => isHmac(request, withoutPrefix(request.headers['x-hub-signature'])),
    read: readBitbucket,
  },
};

/** Gitea also sends the headers of GitHub, so it is looked for before. */
const kindsBySender: readonly HostKind[] = ['gitea', 'github', 'gitlab', 'bitbucket'];

const withoutPrefix = (header: string | undefined) =>
  header?.startsWith('sha256=') === true ? header.slice('sha256='.length) : undefined;

/** Hexadecimal HMAC-SHA256 of the body. */
function isHmac({ body, secret }: WebhookRequest, given: string | undefined): boolean {
  const wanted = createHmac('sha256', secret.reveal()).update(body).digest('hex');
  return given !== undefined && isSame(wanted, given);
}

/** Takes the same time whatever differs, length included. */
function isSame(wanted: string, given: string): boolean {
  const [a, b] = [wanted, given].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

const signingPrefix = 'whsec_';
const mostSkewSeconds = 300;

/**
 * A secret that begins with `whsec_` is a signing token of newer versions of GitLab: base64 of the key of an HMAC over id,
 * time and body, as Standard Webhooks has it; a delivery of old is not taken again. Any other is the secret token that
 * GitLab sends as it is.
 */
function isSignedByGitlab({ headers, body, secret, now }: WebhookRequest): boolean {
  const text = secret.reveal();
  if (!text.startsWith(signingPrefix)) return isSame(text, headers['x-gitlab-token'] ?? '') && text !== '';
  const { 'webhook-id': id = '', 'webhook-timestamp': time = '', 'webhook-signature': signatures = '' } = headers;
  if (!/^\d{1,12}$/.test(time) || Math.abs(now.getTime() / 1000 - Number(time)) > mostSkewSeconds) return false;
  const key = Buffer.from(text.slice(signingPrefix.length), 'base64');
  const wanted = createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest('base64');
  // While a token is changed there are two of them.
  return signatures.split(' ', 8).some((each) => isSame(`v1,${wanted}`, each));
}

/** GitHub can be told to send a form, whose field `payload` holds the JSON. */
function parse({ headers, body }: WebhookRequest): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    const isForm = headers['content-type']?.trim().toLowerCase().startsWith('application/x-www-form-urlencoded');
    return JSON.parse(isForm === true ? (new URLSearchParams(text).get('payload') ?? '') : text);
  } catch {
    throw new Fault('BODY_INVALID', { why: 'it is not valid JSON' });
  }
}

interface Fields {
  readonly [name: string]: unknown;
}

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

/** A short text of what came, or nothing: what is logged of it has bounds. */
const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length > 0 && value.length <= 300 ? value : undefined;

const revisionOf = (value: unknown): string | undefined =>
  typeof value === 'string' && /^(?!0{40})[0-9a-f]{40}$/.test(value) ? value : undefined;

type Kinds = ReadonlyMap<string, Webhook['kind']>;
const githubKinds: Kinds = new Map([
  ['push', 'push'],
  ['ping', 'ping'],
  ['pull_request', 'pull-request'],
]);
const gitlabKinds: Kinds = new Map([
  ['Push Hook', 'push'],
  ['Merge Request Hook', 'pull-request'],
]);

/** GitHub, Gitea and Forgejo. */
function readGithub(event: string, fields: Fields): Heard {
  return {
    kind: githubKinds.get(event) ?? 'other',
    repository: textOf(fieldsOf(fields.repository).full_name),
    ref: textOf(fields.ref),
    after: revisionOf(fields.after),
  };
}

function readGitlab(event: string, fields: Fields): Heard {
  return {
    kind: gitlabKinds.get(event) ?? 'other',
    repository: textOf(fieldsOf(fields.project).path_with_namespace),
    ref: textOf(fields.ref),
    after: revisionOf(fields.after),
  };
}

/** Cloud says `repo:push` and `pullrequest:…`, Data Center `repo:refs_changed` and `pr:…`. */
function readBitbucket(event: string, fields: Fields): Heard {
  const repository = fieldsOf(fields.repository);
  const project = textOf(fieldsOf(repository.project).key);
  const slug = textOf(repository.slug);
  const change = fieldsOf(listOf(fieldsOf(fields.push).changes)[0]);
  const serverChange = fieldsOf(listOf(fields.changes)[0]);
  const branch = textOf(fieldsOf(change.new).name);
  return {
    kind: bitbucketKind(event),
    repository:
      textOf(repository.full_name) ?? (project === undefined || slug === undefined ? undefined : `${project}/${slug}`),
    ref: branch === undefined ? textOf(fieldsOf(serverChange.ref).id) : `refs/heads/${branch}`,
    after: revisionOf(fieldsOf(fieldsOf(change.new).target).hash) ?? revisionOf(serverChange.toHash),
  };
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function bitbucketKind(event: string): Webhook['kind'] {
  if (event === 'repo:push' || event === 'repo:refs_changed') return 'push';
  if (event === 'diagnostics:ping') return 'ping';
  return /^(pullrequest|pr):/.test(event) ? 'pull-request' : 'other';
}
