import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { createSenderOf } from '#http/address.ts';

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
