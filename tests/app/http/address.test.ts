import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createProxyWatch, createSenderOf } from '#http/address.ts';
import { captureLog } from '#support/captured-log.ts';
import { startServer } from '#support/http.ts';

const requestOf = (remoteAddress: string | undefined, headers: Record<string, string>) =>
  ({ socket: { remoteAddress }, headers }) as unknown as IncomingMessage;
const proxies = ['10.0.0.0/8', '192.168.1.1', 'fd00::/8'];
const forwarded = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https', forwarded: 'for=198.51.100.1' };

test.each<[string, readonly string[], string | undefined, Record<string, string>, string, boolean]>([
  ['no proxy is trusted', [], '10.0.0.1', forwarded, '10.0.0.1', false],
  ['a stranger says where it comes from', proxies, '203.0.113.1', forwarded, '203.0.113.1', false],
  ['a trusted proxy says it', proxies, '10.0.0.1', forwarded, '203.0.113.9', true],
  ['the proxy is written as IPv6', proxies, '::ffff:10.0.0.1', forwarded, '203.0.113.9', true],
  ['an IPv6 proxy', proxies, 'fd00::1', { 'x-forwarded-for': '[2001:db8::1]:443' }, '2001:db8::1', false],
  [
    'what stands left of the first stranger is a lie',
    proxies,
    '10.0.0.1',
    { 'x-forwarded-for': '1.2.3.4, 203.0.113.9, 10.0.0.2' },
    '203.0.113.9',
    false,
  ],
  ['only proxies', proxies, '10.0.0.1', { 'x-forwarded-for': '192.168.1.1' }, '192.168.1.1', false],
  [
    'something unreadable',
    proxies,
    '10.0.0.1',
    { 'x-forwarded-for': '203.0.113.9, unknown, 10.0.0.3' },
    '10.0.0.3',
    false,
  ],
  ['a port with it', proxies, '10.0.0.1', { 'x-forwarded-for': '203.0.113.9:5555' }, '203.0.113.9', false],
  ['nothing said', proxies, '10.0.0.1', {}, '10.0.0.1', false],
  [
    'the nearest proxy was reached without TLS',
    proxies,
    '10.0.0.1',
    { 'x-forwarded-proto': 'https, http' },
    '10.0.0.1',
    false,
  ],
  ['a unix socket', proxies, undefined, forwarded, '', false],
])('%s', (_, trusted, peer, headers, address, secure) =>
  expect(createSenderOf(trusted)(requestOf(peer, headers))).toEqual({ address, secure }),
);

test('what is neither address nor network is refused at the start', () => {
  expect(() => createSenderOf(['proxy.local'])).toThrow(
    'trusted proxy proxy.local is neither an address nor a network',
  );
});

describe('a proxy that is not believed', () => {
  const warning =
    'X-Forwarded-For came from a peer that is not in TRUSTED_PROXIES and does not count: if that is your proxy, everybody behind it has one address and shares the limits of signing in';

  function watch(trustedProxies?: readonly string[]) {
    const captured = captureLog();
    const time = { ms: 5 };
    const clock = { monotonicMs: () => time.ms };
    const told = () => captured.lines().map(({ level, msg, setting, peer }) => ({ level, msg, setting, peer }));
    return { look: createProxyWatch({ trustedProxies, clock, log: captured.log }), told, time };
  }
  const told = (peer: string) => ({ level: 'warn', msg: warning, setting: 'TRUSTED_PROXIES', peer });

  test('is told of at once, and then once an hour', () => {
    const each = watch();
    each.look(requestOf('10.0.0.1', {}));
    expect(each.told()).toEqual([]);
    for (let i = 0; i < 5; i++) each.look(requestOf('::ffff:10.0.0.1', forwarded));
    expect(each.told()).toEqual([told('10.0.0.1')]);
    each.time.ms += 60 * 60_000 - 1;
    each.look(requestOf('10.0.0.2', forwarded));
    expect(each.told()).toHaveLength(1);
    each.time.ms += 1;
    for (let i = 0; i < 5; i++) each.look(requestOf('10.0.0.2', forwarded));
    expect(each.told()).toEqual([told('10.0.0.1'), told('10.0.0.2')]);
  });

  test('is one that is not among those that are believed', () => {
    const each = watch(proxies);
    each.look(requestOf('10.0.0.1', forwarded));
    expect(each.told()).toEqual([]);
    each.look(requestOf('203.0.113.1', forwarded));
    expect(each.told()).toEqual([told('203.0.113.1')]);
  });

  test('is seen in any request', async () => {
    const server = await startServer(() => {});
    try {
      const headers = { 'X-Forwarded-For': '203.0.113.9' };
      for (let i = 0; i < 3; i++) await (await fetch(`${server.url}/nothing`, { headers })).text();
      expect(server.logged.filter(({ msg }) => msg === warning)).toHaveLength(1);
    } finally {
      await server.close();
    }
  });
});
