import { k8s } from 'cdk8s-plus-28';
import type { EgressPlan, Plan } from '../plan.ts';
import { isIPv6, overlap, within } from '../ranges.ts';
import { metadataOf, type Scope, selectorOf } from './scope.ts';

/**
 * Deny by default, both ways; then what a project needs: its own namespace in both directions, the cluster's DNS, the
 * internet without the denied ranges, ranges that environment and spec both list, and the edge to routed ports.
 */
export function addNetworkPolicies(scope: Scope): void {
  const { plan } = scope;
  const { network } = plan.environment;
  if (!network.policies) return;
  const everyPod = {};
  policy(scope, 'deny', { podSelector: everyPod, policyTypes: ['Egress', 'Ingress'] });
  policy(scope, 'same-namespace', {
    podSelector: everyPod,
    policyTypes: ['Egress', 'Ingress'],
    egress: [{ to: [{ podSelector: everyPod }] }],
    ingress: [{ from: [{ podSelector: everyPod }] }],
  });
  policy(scope, 'dns', {
    podSelector: everyPod,
    policyTypes: ['Egress'],
    egress: [
      {
        to: [
          {
            namespaceSelector: { matchLabels: network.dns.namespace },
            podSelector: { matchLabels: network.dns.pods },
          },
        ],
        ports: network.dns.ports.flatMap((port) => [portOf(port, 'TCP'), portOf(port, 'UDP')]),
      },
    ],
  });
  if (plan.internet)
    policy(scope, 'internet', { podSelector: everyPod, policyTypes: ['Egress'], egress: [{ to: internet(plan) }] });
  const listed = plan.egress.flatMap((wish) => rulesOf(wish, plan));
  if (listed.length > 0) policy(scope, 'listed', { podSelector: everyPod, policyTypes: ['Egress'], egress: listed });
  addRoutedIngress(scope);
}

const portOf = (port: number, protocol: 'TCP' | 'UDP'): k8s.NetworkPolicyPort => ({
  port: k8s.IntOrString.fromNumber(port),
  protocol,
});

function policy({ chart, plan }: Scope, name: string, spec: k8s.NetworkPolicySpec): void {
  const metadata = metadataOf(plan, name, plan.key.project);
  new k8s.KubeNetworkPolicy(chart, `policy-${name}`, { metadata, spec });
}

function internet({ environment: { network } }: Plan): k8s.NetworkPolicyPeer[] {
  const denied = [...new Set([...network.deniedRanges, ...network.apiServer])].sort();
  return ['0.0.0.0/0', '::/0'].map((cidr) => {
    const except = denied.filter((range) => isIPv6(range) === isIPv6(cidr));
    return { ipBlock: except.length === 0 ? { cidr } : { cidr, except } };
  });
}

/** A wish without ports gets the ports that the environment lists for the range, of every entry that holds it. */
function rulesOf(wish: EgressPlan, { environment: { network } }: Plan): k8s.NetworkPolicyEgressRule[] {
  const to = [{ ipBlock: { cidr: wish.cidr } }];
  const denied = [...network.deniedRanges, ...network.apiServer];
  const ranges = network.egress.filter(({ cidr }) => within(wish.cidr, cidr));
  const free = !denied.some((range) => overlap(wish.cidr, range)) || ranges.some(({ ports }) => ports === undefined);
  const ports = wish.ports ?? (free ? undefined : [...new Set(ranges.flatMap((range) => range.ports ?? []))]);
  if (ports === undefined) return [{ to }];
  return [{ to, ports: ports.toSorted((a, b) => a - b).flatMap((port) => [portOf(port, 'TCP'), portOf(port, 'UDP')]) }];
}

function addRoutedIngress(scope: Scope): void {
  const { plan } = scope;
  const from = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': plan.environment.ingress.namespace } },
  };
  for (const { name, route } of plan.workloads)
    if (route !== undefined)
      policy(scope, `route-${name}`, {
        podSelector: { matchLabels: selectorOf(plan, name) },
        policyTypes: ['Ingress'],
        ingress: [{ from: [from], ports: [portOf(route.port, 'TCP')] }],
      });
}
