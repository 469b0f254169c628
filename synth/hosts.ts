import { didYouMean } from '#environments/check.ts';
import type { ProjectKey } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import type { Complain, RoutePlan, SpecPath } from './plan.ts';
import { amountOf } from './quantity.ts';
import type { Container, Project } from './schema.ts';

const standardBody = '64Mi';
/** The most characters of one label of a host name. */
const mostLabel = 63;

/** `<project>--<team>[--<container>]`, one label, so that one wildcard certificate serves all. */
export const hostLabel = ({ team, project }: Pick<ProjectKey, 'team' | 'project'>, container?: string) =>
  [project, team, container].filter((part) => part !== undefined).join('--');

/** Routes of the containers, by container; hosts that are not the project's, and two routes in one place, are faults. */
export function resolveRoutes(
  project: Project,
  environment: Environment,
  key: ProjectKey,
  complain: Complain,
): ReadonlyMap<string, RoutePlan> {
  const routes = new Map<string, RoutePlan>();
  const taken = new Map<string, string>();
  for (const [name, container] of Object.entries(project.containers)) {
    const route = resolveRoute(name, container, environment, key, complain);
    if (route === undefined) continue;
    const place = `${route.host}${route.path}`;
    const other = taken.get(place);
    if (other !== undefined)
      complain(
        ['containers', name, 'route'],
        `${other} already answers at ${place}; give one of them another path, or host: container`,
      );
    taken.set(place, name);
    routes.set(name, route);
  }
  return routes;
}

function resolveRoute(
  name: string,
  { port, route }: Container,
  environment: Environment,
  key: ProjectKey,
  complain: Complain,
): RoutePlan | undefined {
  if (route === undefined) return undefined;
  const path: SpecPath = ['containers', name, 'route'];
  const said = typeof route === 'object' ? route : { path: route === true ? '/' : route };
  const {
    host = 'project',
    access = 'public',
    bodySize,
    timeoutSeconds = 3600,
  } = typeof route === 'object' ? route : {};
  if (access === 'team' && environment.edge === 'gateway')
    complain(
      [...path, 'access'],
      `access: team needs edge: ingress, and environment ${environment.name} has edge: gateway`,
    );
  else if (access === 'team' && environment.ingress.auth === undefined)
    complain(
      [...path, 'access'],
      `environment ${environment.name} names no sign-in (ingress.auth) that could keep others out`,
    );
  const target = (typeof route === 'object' ? route.port : undefined) ?? port;
  if (target === undefined) return undefined;
  return {
    host: hostOf(host, name, environment, key, path, complain),
    path: said.path.length > 1 ? said.path.replace(/\/+$/, '') || '/' : said.path,
    port: target,
    access,
    bodyBytes: Math.ceil(amountOf(bodySize ?? standardBody)),
    timeoutSeconds,
  };
}

function hostOf(
  host: string,
  container: string,
  environment: Environment,
  key: ProjectKey,
  path: SpecPath,
  complain: Complain,
): string {
  if (host === 'project' || host === 'container') {
    const label = hostLabel(key, host === 'container' ? container : undefined);
    if (label.length > mostLabel)
      complain([...path, 'host'], `host label ${label} has ${label.length} characters; the most is ${mostLabel}`);
    return `${label}.${environment.domain}`;
  }
  const listed = Object.hasOwn(environment.hosts, key.team) ? (environment.hosts[key.team] ?? []) : [];
  if (!listed.includes(host))
    complain(
      [...path, 'host'],
      `environment ${environment.name} does not list host ${host} for team ${key.team}${didYouMean(host, listed)}`,
    );
  return host;
}
