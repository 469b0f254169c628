import type { ProjectKey } from '#environments/layout.ts';
import { namespaceOf, projectName } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import { checkBounds } from './bounds.ts';
import { entryOf } from './catalogue.ts';
import { resolveRoutes } from './hosts.ts';
import { variableOfSecret } from './inherit.ts';
import { objectFaults } from './parts/objects.ts';
import type {
  Check,
  ClaimPlan,
  Complain,
  FilePlan,
  JobPlan,
  Mount,
  Plan,
  PodPlan,
  Port,
  RoutePlan,
  SpecPath,
  Variable,
  WorkloadPlan,
} from './plan.ts';
import { resourcesOf } from './resources.ts';
import type { Container, Job, Project } from './schema.ts';
import { usedSecrets } from './secrets.ts';
import { resolveService } from './services.ts';
import { joinVariables, type Offer, offerOfContainer, offerOfService } from './variables.ts';

const standardUser = 1000;

interface Scene {
  readonly project: Project;
  readonly environment: Environment;
  readonly key: ProjectKey;
  readonly routes: ReadonlyMap<string, RoutePlan>;
  readonly claims: ReadonlyMap<string, ClaimPlan>;
  readonly nodeGroups: ReadonlyMap<string, string>;
  readonly complain: Complain;
}

/** Joins a spec without faults of its own to its environment: every default said, every name joined. */
export function resolve(project: Project, environment: Environment, key: ProjectKey, complain: Complain): Plan {
  const claims = resolveClaims(project, environment);
  const scene: Scene = {
    project,
    environment,
    key,
    claims,
    routes: resolveRoutes(project, environment, key, complain),
    nodeGroups: environment.storage.affinity ? groupNodes(project) : new Map(),
    complain,
  };
  const workloads = [
    ...Object.entries(project.containers).map(([name, container]) => resolveContainer(name, container, scene)),
    ...Object.entries(project.services).map(([name, service]) => resolveService(name, service, claims)),
  ];
  const jobs = Object.entries(project.jobs).map(([name, job]) => resolveJob(name, job, scene));
  objectFaults(project.objects, environment.kinds, complain);
  const plan: Plan = {
    key,
    environment,
    namespace: namespaceOf(key),
    labels: project.labels,
    podSecurity: project.podSecurity,
    workloads: workloads.toSorted(byName),
    jobs: jobs.toSorted(byName),
    claims: [...claims.values()].toSorted((a, b) => compare(a.claim, b.claim)),
    secrets: usedSecrets(project, workloads, jobs, environment),
    internet: project.network.internet,
    egress: project.network.egress,
    objects: project.objects,
    dependsOnProjects: resolveProjects(project, key, complain),
    mode: project.reconcile.mode,
    adopt: project.reconcile.adopt,
  };
  checkBounds(plan, project, complain);
  return plan;
}

/** By code units, so that every machine sorts alike. */
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const byName = (a: { readonly name: string }, b: { readonly name: string }) => compare(a.name, b.name);

/** The other projects that it waits for; whether they are there is not known here. */
function resolveProjects({ dependsOn }: Project, key: ProjectKey, complain: Complain): readonly string[] {
  const itself = dependsOn.indexOf(projectName(key));
  if (itself !== -1) complain(['dependsOn', itself], `${projectName(key)} is this project; it cannot wait for itself`);
  return [...new Set(dependsOn)].sort();
}

function resolveClaims({ volumes, services }: Project, { storage }: Environment): Map<string, ClaimPlan> {
  const claims = new Map<string, ClaimPlan>();
  for (const [name, volume] of Object.entries(volumes)) {
    const said = typeof volume === 'string' ? { size: volume } : volume;
    const { class: storageClass = storage.class, accessMode = 'ReadWriteOnce' } =
      typeof volume === 'string' ? {} : volume;
    claims.set(name, { claim: name, name, size: said.size ?? storage.size, class: storageClass, accessMode });
  }
  for (const [name, service] of Object.entries(services)) {
    const said = typeof service === 'string' ? undefined : service;
    const { data } = entryOf(typeof service === 'string' ? service : service.kind);
    if (data === undefined || said?.persistent === false) continue;
    const claim = said?.claim ?? name;
    claims.set(claim, {
      claim,
      name,
      size: said?.size ?? storage.size,
      class: said?.class ?? storage.class,
      accessMode: 'ReadWriteOnce',
    });
  }
  return claims;
}

/**
 * Containers and jobs that share ReadWriteOnce volumes, directly or through others, by the first volume's name. One
 * group, one node: a rule for each volume alone could send two halves of a group to different nodes first.
 */
function groupNodes({ containers, jobs, volumes }: Project): Map<string, string> {
  const users = new Map<string, Set<string>>();
  for (const [name, { mounts }] of Object.entries({ ...containers, ...jobs }))
    for (const mount of Object.values(mounts)) {
      const volume = typeof mount === 'string' ? mount : mount.volume;
      const said = Object.hasOwn(volumes, volume) ? volumes[volume] : undefined;
      if (typeof said === 'object' && said.accessMode === 'ReadWriteMany') continue;
      users.set(volume, (users.get(volume) ?? new Set()).add(name));
    }
  const groups = new Map<string, string>();
  const spread = (volume: string, group: string) => {
    const names = users.get(volume);
    users.delete(volume);
    for (const name of names ?? []) {
      groups.set(name, group);
      for (const [other, theirs] of users) if (theirs.has(name)) spread(other, group);
    }
  };
  for (const [volume, names] of [...users].toSorted(([a], [b]) => compare(a, b)))
    if (names.size > 1 && users.has(volume)) spread(volume, volume);
  return groups;
}

function resolveContainer(name: string, container: Container, scene: Scene): WorkloadPlan {
  const { claims, complain, routes } = scene;
  const { autoscale, route } = container;
  const pod = resolvePod(name, container, scene, ['containers', name], portsOf(container));
  const single = pod.mounts.find(({ claim }) => claims.get(claim)?.accessMode === 'ReadWriteOnce');
  const copies = autoscale?.max ?? container.replicas ?? 1;
  if (single !== undefined && copies > 1)
    complain(
      ['containers', name, autoscale === undefined ? 'replicas' : 'autoscale'],
      `${copies} copies cannot share volume ${single.claim}, which is ReadWriteOnce; keep one, or make it ReadWriteMany`,
    );
  return {
    ...pod,
    component: 'container',
    stateful: single !== undefined,
    replicas: container.replicas ?? 1,
    autoscale:
      autoscale === undefined
        ? undefined
        : { ...autoscale, cpu: autoscale.cpu ?? (autoscale.memory === undefined ? 75 : undefined) },
    route: route === undefined ? undefined : routes.get(name),
    check: checkOf(container),
    stopSeconds: container.stopSeconds,
  };
}

function resolveJob(name: string, job: Job, scene: Scene): JobPlan {
  const { schedule, timeZone, overlap, retries, timeoutSeconds } = job;
  return { ...resolvePod(name, job, scene, ['jobs', name], []), schedule, timeZone, overlap, retries, timeoutSeconds };
}

function resolvePod(
  name: string,
  each: Container | Job,
  scene: Scene,
  path: SpecPath,
  ports: readonly Port[],
): PodPlan {
  const { environment, project, nodeGroups } = scene;
  const readOnlyRoot = each.readOnlyRoot ?? false;
  const baseline = project.podSecurity === 'baseline';
  const user = each.user ?? (baseline ? 'image' : standardUser);
  const mounts = Object.entries(each.mounts).map(([at, mount]) => mountOf(at, mount));
  return {
    name,
    image: each.image ?? environment.image,
    command: typeof each.command === 'string' ? ['sh', '-c', each.command] : each.command,
    args: each.args,
    variables: joinVariables({
      about: aboutItself(name, ports, scene, addressFor(name, each, scene)),
      offers: each.dependsOn.flatMap((to) => offerOf(to, scene)),
      own: ownVariables(each),
      path,
      complain: scene.complain,
    }),
    ports,
    mounts: mounts.toSorted((a, b) => compare(a.path, b.path)),
    scratch: [...new Set([...each.scratch, ...(readOnlyRoot && !taken('/tmp', each) ? ['/tmp'] : [])])].sort(),
    sharedMemory: false,
    files: filesOf(each),
    resources: resourcesOf(each.resources, environment.resources),
    user: user === 'image' ? undefined : user,
    group: user === 'image' ? (mounts.length > 0 ? standardUser : undefined) : user,
    readOnlyRoot,
    stopSeconds: 30,
    dependsOn: [...each.dependsOn].sort(),
    nodeGroup: nodeGroups.get(name),
  };
}

const taken = (path: string, { mounts, files }: Container | Job) =>
  Object.hasOwn(mounts, path) || Object.hasOwn(files, path);

function portsOf({ port, ports }: Container): Port[] {
  const more = Object.entries(ports).map(([name, number]) => ({ name, port: number }));
  return [...(port === undefined ? [] : [{ name: 'main', port }]), ...more.toSorted(byName)];
}

function mountOf(path: string, mount: Container['mounts'][string]): Mount {
  if (typeof mount === 'string') return { path, claim: mount, readOnly: false };
  return { path, claim: mount.volume, subPath: mount.subPath, readOnly: mount.readOnly };
}

function filesOf({ files }: Container | Job): FilePlan[] {
  return Object.entries(files)
    .map(([path, value]) => (typeof value === 'string' ? { path, text: value } : { path, secret: value.secret }))
    .toSorted((a, b) => compare(a.path, b.path));
}

/** Where people find it: its own route, else that of the container it is like, else the project's front door. */
function addressFor(name: string, { like }: Container | Job, { routes }: Scene): RoutePlan | undefined {
  const doors = [...routes].toSorted(([a], [b]) => compare(a, b)).map(([, route]) => route);
  return routes.get(name) ?? routes.get(like ?? '') ?? doors.find(({ path }) => path === '/') ?? doors[0];
}

/** PLINTH_* and PORT: what a program may want to know about where it runs. */
function aboutItself(name: string, ports: readonly Port[], { key }: Scene, route?: RoutePlan): Variable[] {
  const main = ports.find((port) => port.name === 'main');
  return [
    { name: 'PLINTH_CONTAINER', value: name },
    { name: 'PLINTH_ENVIRONMENT', value: key.environment },
    { name: 'PLINTH_PROJECT', value: key.project },
    { name: 'PLINTH_TEAM', value: key.team },
    ...(main === undefined ? [] : [{ name: 'PORT', value: String(main.port) }]),
    ...(route === undefined ? [] : [{ name: 'PLINTH_URL', value: publicUrl(route) }]),
  ];
}

/** Without a scheme people would have to guess; TLS ends at the edge of every environment but a local one. */
const publicUrl = ({ host, path }: RoutePlan) =>
  `${host.endsWith('.localhost') ? 'http' : 'https'}://${host}${path === '/' ? '' : path}`;

function offerOf(to: string, { project, routes }: Scene): Offer[] {
  if (Object.hasOwn(project.services, to)) {
    const service = project.services[to];
    if (service !== undefined) return [offerOfService(to, service)];
  }
  if (!Object.hasOwn(project.containers, to)) return [];
  const route = routes.get(to);
  return [offerOfContainer(to, project.containers[to]?.port, route === undefined ? undefined : publicUrl(route))];
}

function ownVariables({ env, secrets }: Container | Job): Variable[] {
  return [
    ...secrets.map((secret) => ({ name: variableOfSecret(secret), secret })),
    ...Object.entries(env).map(([name, value]) =>
      typeof value === 'object' ? { name, secret: value.secret } : { name, value: String(value) },
    ),
  ];
}

function checkOf({ health, port }: Container): Check | undefined {
  const standard = { startSeconds: 300, everySeconds: 10, timeoutSeconds: 3, restart: true };
  if (health === false) return undefined;
  if (health === undefined) return port === undefined ? undefined : { ...standard, kind: 'tcp', port, restart: false };
  if (typeof health === 'string') return { ...standard, kind: 'http', path: health, port };
  const { path, command, port: other, ...times } = health;
  if (command !== undefined) return { ...times, kind: 'command', command };
  return path === undefined
    ? { ...times, kind: 'tcp', port: other ?? port }
    : { ...times, kind: 'http', path, port: other ?? port };
}
