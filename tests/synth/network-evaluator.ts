import ipaddr from 'ipaddr.js';
import { dig, digList } from '#synth/dig.ts';
import type { Manifest } from '#synth/render.ts';

/**
 * What NetworkPolicies mean by the words of their API: a pod that no policy selects for a direction is open there; one
 * that is selected is closed but for the sum of the rules. Both ends must agree. That a network plugin enforces it so
 * is not shown here.
 */
export interface Pod {
  readonly namespace: string;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
}

/** A pod of the cluster, or an address outside of it (or of a node, the API server, a metadata service). */
export type End = Pod | { readonly address: string };

export interface Probe {
  readonly from: End;
  readonly to: End;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

const isPod = (end: End): end is Pod => 'namespace' in end;

/** true: the policies let the first packet of a connection through. */
export function allows(policies: readonly Manifest[], { from, to, port, protocol }: Probe): boolean {
  const side = (pod: End, other: End, direction: 'Ingress' | 'Egress') => {
    if (!isPod(pod)) return true;
    const own = policies.filter(
      (policy) =>
        policy.metadata.namespace === pod.namespace &&
        digList(policy, 'spec.policyTypes').includes(direction) &&
        selects(dig(policy, 'spec.podSelector'), pod.labels),
    );
    if (own.length === 0) return true;
    const [rules, peers] = direction === 'Egress' ? ['spec.egress', 'to'] : ['spec.ingress', 'from'];
    return own.some((policy) =>
      digList(policy, rules).some(
        (rule) =>
          matchesPort(digList(rule, 'ports'), port, protocol) &&
          (digList(rule, peers).length === 0 ||
            digList(rule, peers).some((peer) => matchesPeer(peer, other, pod.namespace))),
      ),
    );
  };
  return side(from, to, 'Egress') && side(to, from, 'Ingress');
}

/** A selector that is not there selects nothing; an empty one selects everything. */
function selects(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  if (typeof selector !== 'object' || selector === null) return false;
  if (dig(selector, 'matchExpressions') !== undefined) throw new Error('the evaluator knows no matchExpressions');
  return Object.entries((dig(selector, 'matchLabels') ?? {}) as object).every(([key, value]) => labels[key] === value);
}

function matchesPort(ports: readonly unknown[], port: number, protocol: string): boolean {
  return (
    ports.length === 0 ||
    ports.some((each) => {
      const wanted = dig(each, 'port');
      if (wanted !== undefined && typeof wanted !== 'number') throw new Error('the evaluator knows no named ports');
      return (dig(each, 'protocol') ?? 'TCP') === protocol && (wanted === undefined || wanted === port);
    })
  );
}

function matchesPeer(peer: unknown, other: End, namespace: string): boolean {
  const cidr = dig(peer, 'ipBlock.cidr');
  if (typeof cidr === 'string') {
    const holes = digList(peer, 'ipBlock.except').map(String);
    return inRange(other.address, cidr) && !holes.some((hole) => inRange(other.address, hole));
  }
  if (!isPod(other)) return false;
  const [namespaces, pods] = [dig(peer, 'namespaceSelector'), dig(peer, 'podSelector')];
  const inNamespace =
    namespaces === undefined ? other.namespace === namespace : selects(namespaces, other.namespaceLabels);
  return inNamespace && (pods === undefined || selects(pods, other.labels));
}

function inRange(address: string, cidr: string): boolean {
  const parsed = ipaddr.parse(address);
  const [network, bits] = ipaddr.parseCIDR(cidr);
  if (parsed instanceof ipaddr.IPv4) return network instanceof ipaddr.IPv4 && parsed.match(network, bits);
  return network instanceof ipaddr.IPv6 && parsed.match(network, bits);
}
