import { ApiObject } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Plan, RoutePlan } from '../plan.ts';
import { metadataOf, type Scope } from './scope.ts';

/** How requests from outside reach the containers that have a route: Ingress, or HTTPRoute. */
export function addRoutes(scope: Scope): void {
  for (const { name, route } of scope.plan.workloads) {
    if (route === undefined) continue;
    if (scope.plan.environment.edge === 'gateway') addHttpRoute(scope, name, route);
    else addIngress(scope, name, route);
  }
}

function addIngress({ chart, plan }: Scope, name: string, route: RoutePlan): void {
  const { domain, ingress } = plan.environment;
  const { host, path, port } = route;
  // The wildcard does not cover a custom host: that gets the controller's own certificate.
  const secretName = host.endsWith(`.${domain}`) ? ingress.tlsSecret : undefined;
  new k8s.KubeIngress(chart, `ingress-${name}`, {
    metadata: metadataOf(plan, name, name, ingressAnnotations(plan, route)),
    spec: {
      ingressClassName: ingress.class,
      ...(ingress.tlsSecret === undefined ? {} : { tls: [{ hosts: [host], secretName }] }),
      rules: [
        {
          host,
          http: { paths: [{ path, pathType: 'Prefix', backend: { service: { name, port: { number: port } } } }] },
        },
      ],
    },
  });
}

/** In the words of ingress-nginx; other controllers pass over them, hence access: team only where `auth` is named. */
function ingressAnnotations({ environment }: Plan, route: RoutePlan): Record<string, string> {
  const { auth } = environment.ingress;
  const timeout = String(route.timeoutSeconds);
  const nginx = (name: string) => `nginx.ingress.kubernetes.io/${name}`;
  const guarded = route.access === 'team' && auth !== undefined;
  return {
    'plinth.dev/access': route.access,
    [nginx('proxy-body-size')]: String(route.bodyBytes),
    [nginx('proxy-read-timeout')]: timeout,
    [nginx('proxy-send-timeout')]: timeout,
    ...(guarded ? { [nginx('auth-url')]: auth.url } : {}),
    ...(guarded && auth.signin !== undefined ? { [nginx('auth-signin')]: auth.signin } : {}),
  };
}

/** Gateway API has no word for the size of a body; its timeouts are those of the whole request. */
function addHttpRoute({ chart, plan }: Scope, name: string, route: RoutePlan): void {
  const { gateway } = plan.environment.ingress;
  if (gateway === undefined) return;
  const { host, path, port, timeoutSeconds } = route;
  const timeout = `${timeoutSeconds}s`;
  new ApiObject(chart, `http-route-${name}`, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: {
      ...metadataOf(plan, name, name, { 'plinth.dev/access': route.access }),
      finalizers: undefined,
      managedFields: undefined,
      ownerReferences: undefined,
    },
    spec: {
      parentRefs: [{ name: gateway.name, namespace: gateway.namespace, sectionName: gateway.section }],
      hostnames: [host],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: path } }],
          timeouts: { request: timeout, backendRequest: timeout },
          backendRefs: [{ name, port }],
        },
      ],
    },
  });
}
