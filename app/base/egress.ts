import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { Client } from 'undici';
import { isPrivateAddress, isReachable } from './addresses.ts';
import { readBounded } from './read-bounded.ts';

/** A request to an address that a person named. */
export interface EgressRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface EgressAnswer {
  readonly status: number;
  /** The first 2,048 characters of what was answered. */
  readonly text: string;
  /** What `Retry-After` asks for; undefined where it says nothing. */
  readonly retryAfterMs: number | undefined;
}

/** Why nothing was answered. The message names the host, never the rest of the address, which may be a secret. */
export class NotAsked extends Error {
  /** true: asking again cannot help until a person changes something. */
  readonly final: boolean;

  constructor(why: string, { final, cause }: { readonly final: boolean; readonly cause?: unknown }) {
    super(why, { cause });
    this.name = 'NotAsked';
    this.final = final;
  }
}

export interface EgressOptions {
  /** EGRESS_ALLOWED_RANGES: networks of our own that may be asked, in CIDR form. */
  readonly allowedRanges: readonly string[];
  /** All addresses of a name; standard: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** The longest that one request may take, from its first packet to its last. Standard 10 s. */
  readonly timeoutMs?: number;
}

/** The one way to an address that a tenant or a secret named. */
export interface Egress {
  /** @throws NotAsked; the signal's reason when it was aborted */
  send(address: string, request: EgressRequest): Promise<EgressAnswer>;
}

const standardTimeoutMs = 10_000;
const mostBytes = 64 * 1024;
const mostText = 2048;
const mostHeaderBytes = 16 * 1024;

const resolveBySystem = async (host: string) => (await systemLookup(host, { all: true })).map(({ address }) => address);

/**
 * Asks addresses of the internet over HTTPS, and those networks that the operator allows, there over plain HTTP too.
 * A name is resolved once, all that it means is judged, and the connection goes to exactly that: a name that means
 * something else a moment later leads nowhere. Redirections are not followed; time and size of answers are bounded.
 */
export function createEgress({
  allowedRanges,
  resolve = resolveBySystem,
  timeoutMs = standardTimeoutMs,
}: EgressOptions) {
  return {
    send: async (address, request) => {
      const url = readAddress(address);
      const addresses = await judged(url, { allowedRanges, resolve });
      const client = new Client(url.origin, {
        connect: { lookup: pinnedTo(addresses), timeout: timeoutMs },
        maxHeaderSize: mostHeaderBytes,
        pipelining: 1,
      });
      const limit = AbortSignal.timeout(timeoutMs);
      try {
        return await ask(client, url, request, limit);
      } catch (error) {
        if (request.signal?.aborted) throw request.signal.reason;
        const why = limit.aborted ? `it did not answer within ${timeoutMs / 1000} s` : codeOf(error);
        throw new NotAsked(`${url.host} cannot be reached: ${why}`, { final: false, cause: error });
      } finally {
        await client.destroy().catch(() => {});
      }
    },
  } satisfies Egress;
}

/** The host of an address as far as it can be shown, for messages; undefined: it is no address. */
export const hostOf = (address: string): string | undefined => URL.parse(address)?.host || undefined;

function readAddress(address: string): URL {
  const url = URL.parse(address.trim());
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw new NotAsked('what is stored is no address that begins with https://', { final: true });
  if (url.username !== '' || url.password !== '')
    throw new NotAsked(`the address at ${url.host} holds a user or a password; these are not sent`, { final: true });
  return url;
}

/** Every address of the host that may be asked; what is private and not allowed does not count. */
async function judged(
  url: URL,
  { allowedRanges, resolve }: Required<Pick<EgressOptions, 'allowedRanges' | 'resolve'>>,
): Promise<readonly string[]> {
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  const all = isIP(literal) === 0 ? await resolved(url.host, literal, resolve) : [literal];
  const allowed = all.filter((each) => isReachable(each, allowedRanges));
  if (allowed.length === 0)
    throw new NotAsked(
      `${url.host} is an address of this network, which is not asked; EGRESS_ALLOWED_RANGES can allow it`,
      { final: true },
    );
  if (url.protocol === 'https:') return allowed;
  // In the open, whoever listens would read it and could answer in its place.
  const inside = allowed.filter(isPrivateAddress);
  if (inside.length === 0) throw new NotAsked(`${url.host} is asked over https only`, { final: true });
  return inside;
}

async function resolved(
  host: string,
  name: string,
  resolve: Required<EgressOptions>['resolve'],
): Promise<readonly string[]> {
  try {
    return await resolve(name);
  } catch (error) {
    throw new NotAsked(`${host} cannot be reached: ${codeOf(error)}`, { final: false, cause: error });
  }
}

/** Whatever is looked up for this connection, these are the addresses. */
function pinnedTo(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, callback) => {
    if (options.all === true) return callback(null, all);
    const [first] = all;
    callback(null, first?.address ?? '', first?.family);
  };
}

async function ask(client: Client, url: URL, request: EgressRequest, limit: AbortSignal): Promise<EgressAnswer> {
  const signal = request.signal === undefined ? limit : AbortSignal.any([request.signal, limit]);
  const reply = await client.request({
    method: request.method,
    path: url.pathname + url.search,
    headers: { 'user-agent': 'plinth', ...request.headers },
    body: request.body ?? null,
    signal,
  });
  const text = (await readBounded(reply.body, mostBytes)).slice(0, mostText);
  return { status: reply.statusCode, text, retryAfterMs: retryAfterOf(reply.headers['retry-after']) };
}

function retryAfterOf(header: string | string[] | undefined): number | undefined {
  const seconds = Number(header);
  return header !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

/** The name of the error, such as ECONNREFUSED: messages of others may repeat the address. */
function codeOf(error: unknown): string {
  const inner = error instanceof AggregateError ? error.errors[0] : error;
  const code: unknown = (inner as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : 'the connection failed';
}
