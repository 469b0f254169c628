import { expect, test } from 'vitest';
import { isPrivateAddress, mayBeAsked } from '#base/addresses.ts';

/** always: from the internet too; ours: only where the administrator named a private host; never. */
const table: readonly (readonly [address: string, when: 'always' | 'ours' | 'never'])[] = [
  ['192.0.43.7', 'always'],
  ['2606:4700::1111', 'always'],
  // This machine and this network.
  ['127.0.0.1', 'ours'],
  ['127.255.0.3', 'ours'],
  ['::1', 'ours'],
  ['10.1.2.3', 'ours'],
  ['172.16.0.1', 'ours'],
  ['192.168.1.1', 'ours'],
  ['100.64.0.1', 'ours'],
  ['fd00::1', 'ours'],
  ['fec0::1', 'ours'],
  // The cloud's metadata and what stands beside it.
  ['169.254.169.254', 'never'],
  ['169.254.170.2', 'never'],
  ['100.100.100.200', 'never'],
  ['168.63.129.16', 'never'],
  ['192.0.0.192', 'never'],
  ['fd00:ec2::254', 'never'],
  ['fd00:ec2::23', 'never'],
  ['fd20:ce::254', 'never'],
  ['fd00:42::42', 'never'],
  ['fd00:c1::a9fe:a9fe', 'never'],
  ['fe80::1', 'never'],
  ['fe80::1%eth0', 'never'],
  ['0.0.0.0', 'never'],
  ['::', 'never'],
  ['224.0.0.1', 'never'],
  ['ff02::1', 'never'],
  ['255.255.255.255', 'never'],
  ['240.0.0.1', 'never'],
  ['nonsense', 'never'],
  ['', 'never'],
  // IPv4 within IPv6: mapped, compatible, translated.
  ['::ffff:192.0.43.7', 'always'],
  ['::ffff:127.0.0.1', 'ours'],
  ['::ffff:a9fe:a9fe', 'never'],
  ['::192.0.43.7', 'always'],
  ['::10.0.0.1', 'ours'],
  ['::169.254.169.254', 'never'],
  ['::100.100.100.200', 'never'],
  ['::ffff:0:192.0.43.7', 'always'],
  ['::ffff:0:10.0.0.1', 'ours'],
  ['::ffff:0:169.254.169.254', 'never'],
  // NAT64.
  ['64:ff9b::192.0.43.7', 'always'],
  ['64:ff9b::127.0.0.1', 'ours'],
  ['64:ff9b::10.0.0.1', 'ours'],
  ['64:ff9b::a9fe:a9fe', 'never'],
  ['64:ff9b::168.63.129.16', 'never'],
  // NAT64 of the network's own prefix, which may be as long as /48, /56, /64 and /96.
  ['64:ff9b:1::192.0.43.7', 'always'],
  ['64:ff9b:1:fffe::192.0.43.7', 'always'],
  ['64:ff9b:1::10.0.0.1', 'ours'],
  ['64:ff9b:1::169.254.169.254', 'never'],
  ['64:ff9b:1:a9fe:a9:fe00::', 'never'],
  ['64:ff9b:1:a9fe:a9:fe00:0808:0808', 'never'],
  ['64:ff9b:1:a9:fe:a9fe:0808:0808', 'never'],
  ['64:ff9b:1:0:a9:fea9:fe08:0808', 'never'],
  ['64:ff9b:1:0a00:0:0100:0808:0808', 'ours'],
  // 6to4.
  ['2002:c000:2b07::1', 'always'],
  ['2002:0a00:0001::1', 'ours'],
  ['2002:a9fe:a9fe::1', 'never'],
  ['2002:6464:64c8::', 'never'],
  // Teredo: its server, and the client with all bits turned.
  ['2001:0:c000:2b07:0:0:3fff:d4f8', 'always'],
  ['2001:0:0a00:0001:0:0:3fff:d4f8', 'ours'],
  ['2001:0:c000:2b07:0:0:f5ff:fffe', 'ours'],
  ['2001:0:c000:2b07:0:0:5601:5601', 'never'],
];

test.each(table)('%s: %s', (address, when) => {
  expect([mayBeAsked(address, false), mayBeAsked(address, true)]).toEqual([when === 'always', when !== 'never']);
});

test('a host is private by what it wraps', () => {
  const isPrivate = (address: string) => [address, isPrivateAddress(address)];
  expect(['10.0.0.1', '64:ff9b::10.0.0.1', '2002:0a00:0001::1', '::ffff:127.0.0.1'].map(isPrivate)).toEqual([
    ['10.0.0.1', true],
    ['64:ff9b::10.0.0.1', true],
    ['2002:0a00:0001::1', true],
    ['::ffff:127.0.0.1', true],
  ]);
  expect(['192.0.43.7', '64:ff9b::192.0.43.7', '169.254.169.254', 'nonsense'].map(isPrivate)).toEqual([
    ['192.0.43.7', false],
    ['64:ff9b::192.0.43.7', false],
    ['169.254.169.254', false],
    ['nonsense', false],
  ]);
});
