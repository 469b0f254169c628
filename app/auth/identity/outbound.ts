import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import { isPrivateAddress, mayBeAsked } from '#base/addresses.ts';

export interface OutboundRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Asks an identity provider. Answers are bounded in size and time, and redirections are not followed. */
export type Outbound = (url: string, options?: OutboundRequest) => Promise<Response>;

export interface OutboundOptions {
  /** The address that an administrator named. Only when its own host is private may others on the way be so too. */
  readonly named: string;
  /** Plain HTTP, for development. */
  readonly allowHttp: boolean;
}

const timeoutMs = 10_000;
const mostBytes = 1024 * 1024;

export class OutboundError extends Error {}

/**
 * What a provider's discovery document names is not what the administrator named: a document from the internet must
 * not lead us to a service of our own network.
 */
export function createOutbound({ named, allowHttp }: OutboundOptions): Outbound {
  let known: Promise<boolean> | undefined;
  const mayBePrivate = () => {
    known ??= isPrivateHost(new URL(named).hostname).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
  const lookup: LookupFunction = (host, options, callback) => {
    mayBePrivate().then(
      (may) =>
        systemLookup(host, { ...options, all: true }, (error, found) => {
          if (error !== null) return callback(error, '');
          const allowed = found.filter(({ address }) => mayBeAsked(address, may));
          const [first] = allowed;
          if (first === undefined) return callback(new OutboundError(`${host} has no address that may be asked`), '');
          return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family);
        }),
      (error: Error) => callback(error, ''),
    );
  };
  const dispatcher = new Agent({ connect: { lookup, timeout: timeoutMs }, connections: 4, maxHeaderSize: 32_768 });
  return async (url, { method = 'GET', headers = {}, body, signal } = {}) => {
    const { protocol, hostname } = new URL(url);
    if (protocol !== 'https:' && !(protocol === 'http:' && allowHttp))
      throw new OutboundError(`${new URL(url).origin} is not https`);
    // An address in the URL is not looked up.
    const address = hostname.replace(/^\[|\]$/g, '');
    if (isIP(address) !== 0 && !mayBeAsked(address, await mayBePrivate()))
      throw new OutboundError(`${address} is not an address that may be asked`);
    const limit = AbortSignal.timeout(timeoutMs);
    const reply = await request(url, {
      method: method as 'GET', // undici's own list of methods; ours come from openid-client
      headers: { 'User-Agent': 'plinth', ...headers },
      body: body === undefined || body === null ? null : String(body),
      dispatcher,
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    const bytes = await readBounded(reply.body);
    const empty = [204, 205, 304].includes(reply.statusCode);
    return new Response(empty ? null : bytes, { status: reply.statusCode, headers: flat(reply.headers) });
  };
}

async function isPrivateHost(hostname: string): Promise<boolean> {
  const address = hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(address) === 0 ? await resolve(address) : [address];
  return addresses.some(isPrivateAddress);
}

const resolve = (host: string) =>
  new Promise<string[]>((done, fail) =>
    systemLookup(host, { all: true }, (error, found) =>
      error === null ? done(found.map(({ address }) => address)) : fail(error),
    ),
  );

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new OutboundError(`its answer is larger than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.buffer;
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers))
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) all.append(name, each);
  return all;
}

/** One line for people about why something could not be asked. Never what was answered. */
export function reasonOf(error: unknown): string {
  const words = [...causesOf(error)].map((each) => each.message.split('\n')[0] ?? '').filter((each) => each !== '');
  return (words.at(-1) === undefined ? 'it cannot be reached' : [...new Set(words)].join(': ')).slice(0, 300);
}

function* causesOf(error: unknown): Generator<Error> {
  let here = error;
  for (let depth = 0; depth < 4 && here instanceof Error; depth++) {
    yield here;
    here = here.cause;
  }
}
