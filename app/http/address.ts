import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import ipaddr from 'ipaddr.js';
import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';

/** Where a request comes from, and how. */
export interface Sender {
  /** IP address in its usual form, an IPv4 one without the IPv6 around it; empty for a unix socket. */
  readonly address: string;
  /** Whether the caller speaks TLS, to us or to the trusted proxy in front of us. */
  readonly secure: boolean;
}

type Network = ReturnType<typeof ipaddr.parseCIDR>;

/**
 * Says who sends a request. Without proxies that is the other end of the connection, whatever headers say. Behind a
 * trusted one X-Forwarded-For is read from its right end, where the proxies wrote, until an address that is none of
 * them; X-Forwarded-Proto by its last word. `Forwarded` is ignored: one truth is enough.
 * @param trustedProxies addresses and networks such as `10.0.0.0/8`
 * @throws Error for what is neither
 */
export function createSenderOf(trustedProxies: readonly string[] = []): (request: IncomingMessage) => Sender {
  const networks = trustedProxies.map(networkOf);
  const isProxy = (address: string) => networks.some((network) => isIn(network, address));
  return (request) => {
    const { socket, headers } = request;
    const peer = plain(socket.remoteAddress ?? '') ?? '';
    const tls = socket instanceof TLSSocket;
    if (networks.length === 0 || !isProxy(peer)) return { address: peer, secure: tls };
    return {
      address: behind(peer, wordsOf(headers['x-forwarded-for']), isProxy),
      secure: tls || wordsOf(headers['x-forwarded-proto']).at(-1)?.toLowerCase() === 'https',
    };
  };
}

const tellAgainMs = 60 * 60_000;

/**
 * Tells the log of a proxy that is not believed: what it says of callers is lost, and all of them have its address. At
 * the first such request, then once an hour at most, as anybody can send the header.
 */
export function createProxyWatch(options: {
  readonly trustedProxies?: readonly string[] | undefined;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
}): (request: IncomingMessage) => void {
  const { trustedProxies = [], clock, log } = options;
  const networks = trustedProxies.map(networkOf);
  let quietUntilMs = Number.NEGATIVE_INFINITY;
  return ({ socket, headers }) => {
    if (headers['x-forwarded-for'] === undefined || clock.monotonicMs() < quietUntilMs) return;
    const peer = plain(socket.remoteAddress ?? '') ?? '';
    if (networks.some((network) => isIn(network, peer))) return;
    quietUntilMs = clock.monotonicMs() + tellAgainMs;
    log.warn(
      { setting: 'TRUSTED_PROXIES', peer },
      'X-Forwarded-For came from a peer that is not in TRUSTED_PROXIES and does not count: if that is your proxy, everybody behind it has one address and shares the limits of signing in',
    );
  };
}

/** The nearest address that is no proxy of ours; what stands left of an unreadable one was not written by ours. */
function behind(peer: string, forwarded: readonly string[], isProxy: (address: string) => boolean): string {
  let nearest = peer;
  for (const word of forwarded.toReversed()) {
    const address = plain(withoutPort(word));
    if (address === undefined) return nearest;
    nearest = address;
    if (!isProxy(address)) return nearest;
  }
  return nearest;
}

/** A header may come several times; Node joins IPv4's and gives a list of the others. */
function wordsOf(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .join(',')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** `10.1.2.3:80` → `10.1.2.3`, `[::1]:80` → `::1`. */
function withoutPort(word: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(word)?.[1];
  if (bracketed !== undefined) return bracketed;
  return /^([\d.]+):\d+$/.exec(word)?.[1] ?? word;
}

function plain(address: string): string | undefined {
  return ipaddr.isValid(address) ? ipaddr.process(address).toString() : undefined;
}

function networkOf(text: string): Network {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  if (!ipaddr.isValid(text)) throw new Error(`trusted proxy ${text} is neither an address nor a network`);
  const address = ipaddr.process(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

function isIn([network, bits]: Network, address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return parsed.kind() === network.kind() && parsed.match(network, bits);
}
