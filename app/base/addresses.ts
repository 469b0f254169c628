import ipaddr from 'ipaddr.js';

type Address = ReturnType<typeof ipaddr.parse>;
type Verdict = 'public' | 'private' | 'never';

/** What only this machine or this network can reach. */
const privateRanges = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']);
/** Nothing that we would ask lives there. */
const neverRanges = new Set(['linkLocal', 'unspecified', 'broadcast', 'multicast', 'reserved']);

/**
 * Where clouds tell a machine its credentials, beside the link-local addresses (169.254.0.0/16, fe80::/10). Some lie in
 * ranges that are private or public otherwise, so each is named.
 */
const metadata = [
  '100.100.100.200/32', // Alibaba
  '168.63.129.16/32', // Azure
  '192.0.0.192/32', // Oracle
  'fd00:c1::a9fe:a9fe/128', // Oracle
  'fd00:ec2::/32', // AWS: metadata, names, time, pod identity
  'fd20:ce::254/128', // Google
  'fd00:42::42/128', // Scaleway
].map((each) => ipaddr.parseCIDR(each));
/** Site-local, the unique local addresses of old. */
const siteLocal = ipaddr.parseCIDR('fec0::/10');

/**
 * Whether something that a person named may be asked at this address: never where clouds keep their metadata; in our own network only if
 * `mayBePrivate`. An IPv6 address that leads to an IPv4 one is judged as that. What is no address may not.
 */
export function mayBeAsked(address: string, mayBePrivate: boolean): boolean {
  const verdict = verdictOn(address);
  return verdict === 'public' || (verdict === 'private' && mayBePrivate);
}

export const isPrivateAddress = (address: string) => verdictOn(address) === 'private';

/**
 * Whether this address may be asked where private ones must lie in one of `ranges` (CIDR). Metadata and link-local
 * addresses are never asked, whatever the ranges say.
 */
export function isReachable(address: string, ranges: readonly string[]): boolean {
  const verdict = verdictOn(address);
  if (verdict !== 'private') return verdict === 'public';
  const networks = ranges.map((range) => ipaddr.parseCIDR(range));
  const inside = readingsOf(ipaddr.parse(address)).filter((each) => judge(each) === 'private');
  return inside.every((each) => networks.some((network) => isWithin(each, network)));
}

/** Of all that the address can lead to, the worst. */
function verdictOn(address: string): Verdict {
  if (!ipaddr.isValid(address)) return 'never';
  const verdicts = readingsOf(ipaddr.parse(address)).map(judge);
  return verdicts.find((each) => each === 'never') ?? verdicts.find((each) => each === 'private') ?? 'public';
}

function judge(address: Address): Verdict {
  const range = address.range();
  if (neverRanges.has(range) || metadata.some((each) => isWithin(address, each))) return 'never';
  return privateRanges.has(range) || isWithin(address, siteLocal) ? 'private' : 'public';
}

function isWithin(address: Address, [network, bits]: readonly [Address, number]): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

/** Ways to put an IPv4 address into an IPv6 one, and where it stands in its bytes. */
const wrappings: readonly (readonly [prefix: [Address, number], inner: (bytes: readonly number[]) => Address[]])[] = [
  [ipaddr.parseCIDR('::ffff:0:0/96'), lastOf], // mapped
  [ipaddr.parseCIDR('::ffff:0:0:0/96'), lastOf], // translated (SIIT)
  [ipaddr.parseCIDR('64:ff9b::/96'), lastOf], // NAT64
  [ipaddr.parseCIDR('64:ff9b:1::/48'), localNat64],
  [ipaddr.parseCIDR('2002::/16'), (bytes) => [ipv4(bytes.slice(2, 6))]], // 6to4
  // Teredo: its server, and the client with all bits turned.
  [
    ipaddr.parseCIDR('2001::/32'),
    (bytes) => [ipv4(bytes.slice(4, 8)), ipv4(bytes.slice(12).map((byte) => byte ^ 255))],
  ],
  [ipaddr.parseCIDR('::/96'), lastOf], // compatible
];

function readingsOf(address: Address): readonly Address[] {
  // :: and ::1 are addresses of their own.
  if (address.kind() === 'ipv4' || ['unspecified', 'loopback'].includes(address.range())) return [address];
  const inner = wrappings.find(([prefix]) => isWithin(address, prefix))?.[1];
  return inner === undefined ? [address] : inner(address.toByteArray());
}

function lastOf(bytes: readonly number[]): Address[] {
  return [ipv4(bytes.slice(12))];
}

/**
 * A network chooses how long the prefix of its translator is (RFC 6052, 2.2), and only it knows: every reading counts
 * that would lead to somewhere inside. The others are most likely no readings at all.
 */
function localNat64(bytes: readonly number[]): Address[] {
  const at = (...places: readonly number[]) => ipv4(places.map((place) => bytes[place] ?? 0));
  const shorter = [at(6, 7, 9, 10), at(7, 9, 10, 11), at(9, 10, 11, 12)];
  const isInside = (each: Address) =>
    each.range() === 'linkLocal' || !(neverRanges.has(each.range()) || judge(each) === 'public');
  return [...lastOf(bytes), ...shorter.filter(isInside)];
}

const ipv4 = (bytes: readonly number[]): Address => new ipaddr.IPv4([...bytes]);
