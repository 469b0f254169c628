import { isDeepStrictEqual } from 'node:util';
import type { Environment } from '#environments/schema.ts';
import { dig, digList, digMap } from '../dig.ts';
import { hostLabel } from '../hosts.ts';
import type { Manifest } from '../manifests.ts';
import { overlap, within } from '../ranges.ts';
import { routePath } from '../schema.ts';
import type { Watch } from './watch.ts';

type Refuse = (message: string) => void;

export function guardService(object: Manifest, watch: Watch): void {
  const spec = digMap(object, 'spec');
  if ((spec.type ?? 'ClusterIP') !== 'ClusterIP')
    watch.refuse(object, `type ${String(spec.type)} opens a way in beside the edge`);
  for (const field of [
    'externalIPs',
    'externalName',
    'loadBalancerIP',
    'loadBalancerClass',
    'loadBalancerSourceRanges',
  ])
    if (spec[field] !== undefined) watch.refuse(object, `spec.${field} may not be set`);
  for (const port of digList(spec, 'ports'))
    if (dig(port, 'nodePort') !== undefined) watch.refuse(object, 'nodePort opens a way in beside the edge');
}

/** Rules may name the project's own pods, the cluster's DNS, the edge, and ranges that are allowed: nothing else. */
export function guardNetworkPolicy(object: Manifest, { environment, refuse }: Watch): void {
  const complain: Refuse = (message) => refuse(object, message);
  for (const rule of digList(object, 'spec.egress')) {
    const peers = digList(rule, 'to');
    if (peers.length === 0) complain('an egress rule without peers opens everything');
    for (const peer of peers) {
      if (dig(peer, 'ipBlock') !== undefined) guardRange(peer, rule, environment, complain);
      else if (dig(peer, 'namespaceSelector') !== undefined) guardDns(peer, rule, environment, complain);
    }
  }
  for (const rule of digList(object, 'spec.ingress')) {
    const peers = digList(rule, 'from');
    if (peers.length === 0) complain('an ingress rule without peers opens everything');
    for (const peer of peers) {
      if (dig(peer, 'ipBlock') !== undefined) complain('addresses may not be let in beside the edge');
      const edge = { matchLabels: { 'kubernetes.io/metadata.name': environment.ingress.namespace } };
      const selector = dig(peer, 'namespaceSelector');
      if (selector === undefined) continue;
      if (!isDeepStrictEqual(selector, edge)) complain(`only namespace ${environment.ingress.namespace} may come in`);
      if (digList(rule, 'ports').length === 0) complain('the edge may come in to routed ports only');
    }
  }
}

function guardRange(peer: unknown, rule: unknown, { name, network }: Environment, complain: Refuse): void {
  const cidr = String(dig(peer, 'ipBlock.cidr'));
  const except = digList(peer, 'ipBlock.except').map(String);
  const ports = digList(rule, 'ports').map((port) => dig(port, 'port'));
  const entries = network.egress.filter((entry) => within(cidr, entry.cidr));
  const every = entries.some((entry) => entry.ports === undefined);
  const each = ports.length > 0 && ports.every((port) => entries.some((entry) => entry.ports?.includes(Number(port))));
  if (every || each) return;
  const denied = [...network.deniedRanges, ...network.apiServer].filter((range) => !except.includes(range));
  const open = denied.find((range) => {
    if (!overlap(cidr, range)) return false;
    const shared = within(range, cidr) ? range : cidr;
    return !except.some((hole) => within(shared, hole));
  });
  if (open !== undefined) complain(`${cidr} reaches ${open}, which environment ${name} denies`);
}

function guardDns(peer: unknown, rule: unknown, { network: { dns } }: Environment, complain: Refuse): void {
  const wanted = { namespaceSelector: { matchLabels: dns.namespace }, podSelector: { matchLabels: dns.pods } };
  const ports = digList(rule, 'ports').map((port) => dig(port, 'port'));
  if (
    !isDeepStrictEqual(peer, wanted) ||
    ports.length === 0 ||
    !ports.every((port) => dns.ports.includes(Number(port)))
  )
    complain("of other namespaces only the cluster's DNS may be reached, on its ports");
}

/** `<project>--<team>[--<container>]` below the environment's domain, or a host listed for the team. */
function guardHosts(hosts: readonly unknown[], { environment, key }: Watch, complain: Refuse): void {
  const label = hostLabel(key);
  const listed = Object.hasOwn(environment.hosts, key.team) ? (environment.hosts[key.team] ?? []) : [];
  if (hosts.length === 0) complain('it must name its hosts');
  for (const host of hosts.map(String)) {
    const own = host.endsWith(`.${environment.domain}`) ? host.slice(0, -environment.domain.length - 1) : '';
    const container = own.startsWith(`${label}--`) ? own.slice(label.length + 2) : undefined;
    const mine = own === label || (container !== undefined && /^[a-z](?:-?[a-z0-9])*$/.test(container));
    if (!mine && !listed.includes(host)) complain(`host ${host} does not belong to the project`);
  }
}

/** Annotations of ingress-nginx whose values are numbers, sizes, switches or lists: none of them holds configuration. */
const ingressAnnotations =
  /^nginx\.ingress\.kubernetes\.io\/(proxy-(body-size|buffer-size|buffering|buffers-number|connect-timeout|http-version|max-temp-file-size|read-timeout|request-buffering|send-timeout|next-upstream-(timeout|tries))|limit-(rps|rpm|connections|burst-multiplier)|whitelist-source-range|ssl-redirect|force-ssl-redirect|backend-protocol|affinity|affinity-mode|session-cookie-(name|max-age|expires|samesite|secure)|enable-cors|cors-(allow-methods|allow-headers|allow-origin|allow-credentials|expose-headers|max-age))$/;
const harmlessValue = /^[A-Za-z0-9 ._,:*/-]*$/;

export function guardIngress(object: Manifest, watch: Watch): void {
  const { ingress } = watch.environment;
  const complain: Refuse = (message) => watch.refuse(object, message);
  const rules = digList(object, 'spec.rules');
  if (dig(object, 'spec.defaultBackend') !== undefined) complain('a default backend would answer for every host');
  if (dig(object, 'spec.ingressClassName') !== ingress.class) complain(`its class must be ${ingress.class ?? 'unset'}`);
  const tls = digList(object, 'spec.tls');
  guardHosts(
    [...rules.map((rule) => dig(rule, 'host')), ...tls.flatMap((entry) => digList(entry, 'hosts'))],
    watch,
    complain,
  );
  for (const entry of tls)
    if (![undefined, ingress.tlsSecret].includes(dig(entry, 'secretName') as string | undefined))
      complain(`its TLS secret must be ${ingress.tlsSecret ?? 'unset'}`);
  for (const path of rules.flatMap((rule) => digList(rule, 'http.paths'))) {
    if (!routePath.test(String(dig(path, 'path')))) complain(`path ${JSON.stringify(dig(path, 'path'))} is not plain`);
    if (dig(path, 'pathType') === 'ImplementationSpecific') complain('pathType must be Prefix or Exact');
    if (dig(path, 'backend.resource') !== undefined) complain('only services can be its backend');
    if (!watch.known('Service').has(String(dig(path, 'backend.service.name'))))
      complain('its backend is no service of the project');
  }
  guardAnnotations(object, watch.environment, complain);
}

function guardAnnotations({ metadata }: Manifest, { ingress: { auth } }: Environment, complain: Refuse): void {
  const annotations = metadata.annotations ?? {};
  const prefix = 'nginx.ingress.kubernetes.io/auth-';
  const wanted = annotations['plinth.dev/access'] === 'public' ? {} : { url: auth?.url, signin: auth?.signin };
  for (const [name, value] of Object.entries(annotations)) {
    if (name === 'plinth.dev/access' || name === `${prefix}url` || name === `${prefix}signin`) continue;
    if (!ingressAnnotations.test(name) || !harmlessValue.test(value))
      complain(`annotation ${name}: ${value} is not taken`);
  }
  for (const field of ['url', 'signin'] as const)
    if (annotations[`${prefix}${field}`] !== (wanted as { url?: string; signin?: string })[field])
      complain(`annotation ${prefix}${field} must be what the environment and the route's access say`);
}

export function guardHttpRoute(object: Manifest, watch: Watch): void {
  const complain: Refuse = (message) => watch.refuse(object, message);
  const { gateway } = watch.environment.ingress;
  const wanted = {
    name: gateway?.name,
    namespace: gateway?.namespace,
    ...(gateway?.section === undefined ? {} : { sectionName: gateway.section }),
  };
  if (!isDeepStrictEqual(dig(object, 'spec.parentRefs'), [wanted]))
    complain('it may attach to the gateway of the environment only');
  guardHosts(digList(object, 'spec.hostnames'), watch, complain);
  for (const rule of digList(object, 'spec.rules')) {
    for (const backend of digList(rule, 'backendRefs')) {
      if (dig(backend, 'namespace') !== undefined || (dig(backend, 'kind') ?? 'Service') !== 'Service')
        complain('only services of the project can be its backends');
      else if (!watch.known('Service').has(String(dig(backend, 'name'))))
        complain('its backend is no service of the project');
      if (digList(backend, 'filters').length > 0) complain('filters belong to rules, not to backends');
    }
    for (const filter of digList(rule, 'filters'))
      if (
        !['RequestHeaderModifier', 'ResponseHeaderModifier', 'URLRewrite', 'RequestRedirect'].includes(
          String(dig(filter, 'type')),
        )
      )
        complain(`filter ${String(dig(filter, 'type'))} is not taken`);
  }
}
