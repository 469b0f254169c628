import { Agent, request } from 'undici';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { readBounded } from '#base/read-bounded.ts';
import type { Secret } from '#base/secret.ts';

export interface HostRequestOptions {
  /** Base of the API: `https://git.example.com/api/v1`. Nothing outside of it is ever asked. */
  readonly apiUrl: string;
  /** Asked before each request, as tokens of an app change; what it gives is never part of a message. */
  credential(): Promise<Secret>;
  /** The host did not know the last one any more (401): one that can be renewed is. */
  readonly refused?: () => void;
  readonly clock: Clock;
  /** Certificates (PEM) of who may vouch for the host, where it is not one that everybody knows. */
  readonly ca?: string | undefined;
  /** The longest that one request may take. Standard 10 s. */
  readonly timeoutMs?: number;
}

export interface HostRequest {
  /** Below the base, each part encoded: `/repos/acme/state/statuses/1f0c…`. */
  readonly path: string;
  headers(credential: string): Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly signal?: AbortSignal | undefined;
  /** Reads an answer from 400 on that means that all is well already. */
  isFine?(answer: HostAnswer): boolean;
}

export interface HostAnswer {
  readonly status: number;
  /** What the host says went wrong, on one line, without the credential; empty when it says nothing. */
  readonly message: string;
}

/** The one way to a host's API. */
export interface HostRequests {
  /** @throws Fault GIT_HOST_UNAVAILABLE (with `afterMs` where the host named a time) | GIT_HOST_REFUSED (with `status`) */
  post(asked: HostRequest): Promise<void>;
  close(): Promise<void>;
}

const standardTimeoutMs = 10_000;
const mostBytes = 64 * 1024;
const mostMessage = 300;
/** A host may ask for a pause, but not for one that nobody would wait for. */
const mostPauseMs = 3_600_000;

/** Requests to one host: bounded in time and size, never sent on to another address, the host's pauses understood. */
export function createHostRequests(options: HostRequestOptions): HostRequests {
  const base = new URL(options.apiUrl);
  const timeoutMs = options.timeoutMs ?? standardTimeoutMs;
  const agent = new Agent({
    connections: 4,
    connect: { timeout: timeoutMs, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    maxHeaderSize: 32 * 1024,
  });
  return {
    post: async (asked) => {
      const credential = (await options.credential()).reveal();
      const answer = await send(agent, base, asked, { credential, timeoutMs });
      if (answer.status >= 200 && answer.status < 300) return;
      if (asked.isFine?.(answer) === true) return;
      if (answer.status === 401) options.refused?.();
      throw faultOf(base.host, answer, options.clock);
    },
    close: () => agent.destroy(),
  };
}

interface Answer extends HostAnswer {
  header(name: string): string | undefined;
}

async function send(
  agent: Agent,
  base: URL,
  asked: HostRequest,
  { credential, timeoutMs }: { readonly credential: string; readonly timeoutMs: number },
): Promise<Answer> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    // undici follows no redirection by itself: a credential goes nowhere but to this host.
    const { statusCode, headers, body } = await request(base.href.replace(/\/+$/, '') + asked.path, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'user-agent': 'plinth', 'content-type': 'application/json', ...asked.headers(credential) },
      body: JSON.stringify(asked.body),
      signal: asked.signal === undefined ? limit : AbortSignal.any([asked.signal, limit]),
    });
    const text = await readBounded(body, mostBytes);
    return {
      status: statusCode,
      message: messageOf(text, credential),
      header: (name) => [headers[name]].flat()[0],
    };
  } catch (error) {
    if (asked.signal?.aborted === true) throw asked.signal.reason;
    const why = limit.aborted ? `it did not answer within ${timeoutMs / 1000} s` : codeOf(error);
    throw new Fault('GIT_HOST_UNAVAILABLE', { host: base.host, why }, { cause: withoutCredential(error, credential) });
  }
}

/** GitHub and Gitea say `message`, GitLab `message` or `error` of any form, Bitbucket `error.message`. */
function messageOf(text: string, credential: string): string {
  let said: unknown = text;
  try {
    const body = JSON.parse(text) as { message?: unknown; error?: unknown } | null;
    said = (body?.error as { message?: unknown } | undefined)?.message ?? body?.message ?? body?.error ?? '';
  } catch {
    // A page of a proxy, most likely: its first words say enough.
  }
  const line = (typeof said === 'string' ? said : JSON.stringify(said)).replace(/<[^>]*>|[\p{Cc}\s]+/gu, ' ').trim();
  return mask(line, credential).slice(0, mostMessage);
}

const mask = (text: string, credential: string) => (credential === '' ? text : text.replaceAll(credential, '[secret]'));

/** The causes of errors are logged; none may carry what it was sent with. */
const withoutCredential = (error: unknown, credential: string) =>
  error instanceof Error && !error.message.includes(credential) ? error : undefined;

function codeOf(error: unknown): string {
  const code: unknown = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : 'the connection failed';
}

function faultOf(host: string, answer: Answer, clock: Clock): Fault {
  const { status, message } = answer;
  const said = message === '' ? '' : ` (${message})`;
  const afterMs = pauseOf(answer, clock);
  const limited = status === 429 || (status === 403 && afterMs !== undefined);
  if (limited) {
    const why = `it takes no more requests for now${said}`;
    return new Fault('GIT_HOST_UNAVAILABLE', { host, why, afterMs: afterMs ?? 60_000 });
  }
  if (status >= 500 || status === 408 || status === 409 || status === 425)
    return new Fault('GIT_HOST_UNAVAILABLE', { host, why: `it answered ${status}${said}`, afterMs });
  return new Fault('GIT_HOST_REFUSED', { host, status, why: `it answered ${status}${said}`, fix: fixOf(answer) });
}

/**
 * How long the host wants to be left alone: Retry-After (seconds or a date), or the end of its window where its budget
 * is spent. An answer that names no pause may have any other reason.
 */
function pauseOf(answer: Answer, clock: Clock): number | undefined {
  const now = clock.now().getTime();
  const bounded = (ms: number) => Math.min(mostPauseMs, Math.max(1000, ms));
  const after = answer.header('retry-after');
  if (after !== undefined) {
    const ms = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - now;
    if (!Number.isNaN(ms)) return bounded(ms);
  }
  const spent = answer.header('x-ratelimit-remaining') ?? answer.header('ratelimit-remaining');
  const reset = Number(answer.header('x-ratelimit-reset') ?? answer.header('ratelimit-reset'));
  return spent === '0' && Number.isFinite(reset) ? bounded(reset * 1000 - now) : undefined;
}

function fixOf({ status, header }: Answer): string {
  if (status === 401) return 'The credential is not valid any more; put a new one in its place.';
  if (status === 403) return 'The credential may not set commit statuses; give it that right.';
  if (status === 404)
    return 'Either STATE_REPOSITORY_API_URL or the repository is wrong, or the credential may not see the repository.';
  if (status >= 300 && status < 400) {
    const to = URL.parse(header('location') ?? '')?.host;
    return `It points ${to === undefined ? 'elsewhere' : `to ${to}`}, where the credential is not sent; set STATE_REPOSITORY_API_URL to the right address.`;
  }
  return 'This is not a matter of the credential.';
}
