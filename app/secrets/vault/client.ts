import { Agent, request } from 'undici';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';

export interface VaultClientOptions {
  /** HASHICORP_VAULT_ADDR: http or https, a path is kept. */
  readonly address: string;
  /** Sent as X-Vault-Namespace. */
  readonly namespace?: string | undefined;
  /** PEM of the authority that signed Vault's certificate, where the system does not know it. */
  readonly ca?: string | undefined;
  readonly clock: Clock;
  /** For one answer. Default 5 s. */
  readonly timeoutMs?: number;
}

export interface VaultAnswer {
  readonly status: number;
  /** The JSON of the reply; an empty object where there was none. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface VaultRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below /v1/, each segment as it is: it is escaped here. */
  readonly path: string;
  readonly token?: Secret | undefined;
  readonly body?: unknown;
  /** What it is in words, for messages: `reading secret/data/shop`. */
  readonly what: string;
}

/** Asks Vault. Statuses below 500 come back as they are, for the caller knows what they mean. */
export interface VaultClient {
  /** @throws Fault SECRETS_UNAVAILABLE: unreachable, too slow, sealed or broken, after three attempts */
  ask(request: VaultRequest): Promise<VaultAnswer>;
  close(): Promise<void>;
}

const attempts = 3;
const firstPauseMs = 50;
/** A value has up to 1 MiB, escaped in JSON up to six times as much. */
const mostBytes = 8 * 1024 * 1024;
/** Too many requests, not yet consistent, and everything that is the server's own fault. */
const passing = (status: number) => status === 412 || status === 429 || status >= 500;

export function createVaultClient(options: VaultClientOptions): VaultClient {
  const { clock, timeoutMs = 5_000 } = options;
  const base = options.address.replace(/\/+$/, '');
  const agent = new Agent({
    connections: 16,
    connect: { timeout: timeoutMs, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: mostBytes,
  });

  const send = async ({ method, path, token, body, what }: VaultRequest): Promise<VaultAnswer> => {
    const headers: Record<string, string> = { 'x-vault-request': 'true' };
    if (token !== undefined) headers['x-vault-token'] = token.reveal();
    if (options.namespace !== undefined) headers['x-vault-namespace'] = options.namespace;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const url = `${base}/v1/${path.split('/').map(encodeURIComponent).join('/')}`;
    try {
      const answer = await request(url, {
        dispatcher: agent,
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { status: answer.statusCode, body: parse(await answer.body.text()) };
    } catch (error) {
      throw unavailable(`${what} failed: ${reasonOf(error, timeoutMs)}`, error);
    }
  };

  return {
    ask: async (asked) => {
      for (let attempt = 1; ; attempt++) {
        const outcome = await send(asked).catch((error: unknown) => error as Fault);
        const isLast = attempt === attempts;
        if (!(outcome instanceof Error) && !passing(outcome.status)) return outcome;
        if (isLast || isSealed(outcome)) {
          if (outcome instanceof Error) throw outcome;
          throw unavailable(`${asked.what} failed: ${complaint(outcome)}`);
        }
        await clock.sleep(firstPauseMs * 3 ** (attempt - 1) * (0.5 + Math.random()));
      }
    },
    close: () => agent.destroy(),
  };
}

export const unavailable = (why: string, cause?: unknown) => new Fault('SECRETS_UNAVAILABLE', { why }, { cause });

/** What Vault says is wrong, with its status. Its messages name paths and policies, never values. */
export function complaint({ status, body }: VaultAnswer): string {
  const said = [...texts(body.errors), ...texts(body.warnings)].join('; ').replace(/\s+/g, ' ').trim().slice(0, 300);
  return said === '' ? `status ${status}` : `status ${status}, ${said}`;
}

const texts = (list: unknown): readonly string[] =>
  Array.isArray(list) ? list.filter((one) => typeof one === 'string') : [];

/** A sealed Vault stays so until a person comes: trying again at once is of no use. */
const isSealed = (outcome: VaultAnswer | Error) =>
  !(outcome instanceof Error) && outcome.status === 503 && complaint(outcome).includes('sealed');

function parse(text: string): Readonly<Record<string, unknown>> {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // A proxy's page: its status says enough.
  }
}

/** The network's reason in a few words. */
function reasonOf(error: unknown, timeoutMs: number): string {
  const { code, name, message, cause } = error as NodeJS.ErrnoException & { cause?: NodeJS.ErrnoException };
  if (name === 'TimeoutError' || /TIMEOUT/.test(code ?? '')) return `no answer within ${timeoutMs} ms`;
  return code ?? cause?.code ?? message;
}
