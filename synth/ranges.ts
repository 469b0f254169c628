import ipaddr from 'ipaddr.js';

export const isIPv6 = (cidr: string): boolean => cidr.includes(':');

/** Every address of `inner` lies in `outer`. */
export function within(inner: string, outer: string): boolean {
  if (inner === outer) return true;
  if (isIPv6(inner) !== isIPv6(outer)) return false;
  const [address, bits] = ipaddr.parseCIDR(inner);
  const [network, outerBits] = ipaddr.parseCIDR(outer);
  if (bits < outerBits) return false;
  if (address instanceof ipaddr.IPv4) return network instanceof ipaddr.IPv4 && address.match(network, outerBits);
  return network instanceof ipaddr.IPv6 && address.match(network, outerBits);
}

/** Ranges nest or are apart; there is nothing between. */
export const overlap = (a: string, b: string): boolean => within(a, b) || within(b, a);
