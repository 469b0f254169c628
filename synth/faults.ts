import { didYouMean, quote } from '#environments/check.ts';
import { reservedBecause } from '#environments/layout.ts';
import { entryOf } from './catalogue.ts';
import { scheduleFault } from './cron.ts';
import { parseImage } from './image.ts';
import { variableOfSecret } from './inherit.ts';
import type { Complain, SpecPath } from './plan.ts';
import { amountOf } from './quantity.ts';
import type { Container, Job, Project } from './schema.ts';
import { passwordSecret } from './variables.ts';

/** Everything that is wrong with a spec by itself, whatever the environment; `like` is carried out already. */
export function findFaults(project: Project, complain: Complain): void {
  const { containers, services, jobs } = project;
  if (Object.keys({ ...containers, ...services, ...jobs }).length === 0)
    complain(['containers'], 'there is nothing to run; name a container: web: { image: …, port: 8080 }');
  nameFaults(project, complain);
  dependencyFaults(project, complain);
  labelFaults(project.labels, complain);
  const generated = generatedSecrets(project);
  for (const [section, entries] of [
    ['containers', containers],
    ['jobs', jobs],
  ] as const)
    for (const [name, each] of Object.entries(entries))
      runningFaults([section, name], each, project, generated, complain);
  for (const [name, container] of Object.entries(containers))
    containerFaults(['containers', name], container, complain);
  for (const [name, job] of Object.entries(jobs)) jobFaults(['jobs', name], job, complain);
  for (const [name, service] of Object.entries(services)) {
    if (typeof service === 'string') continue;
    resourceFaults(['services', name, 'resources'], service.resources, complain);
    const entry = entryOf(service.kind);
    const taken = new Set([...Object.keys(entry.env), ...Object.values(entry.secrets)]);
    for (const variable of Object.keys(service.env))
      if (taken.has(variable))
        complain(['services', name, 'env', variable], `${variable} is set by the catalogue; choose another`);
  }
}

/** Names that become names of objects: those that would meet, and those that are not free. */
function nameFaults({ containers, services, jobs, volumes }: Project, complain: Complain): void {
  const owner = new Map<string, string>();
  for (const [section, entries] of Object.entries({ containers, services, jobs }))
    for (const name of Object.keys(entries)) {
      const other = owner.get(name);
      if (other !== undefined)
        complain([section, name], `${name} is also one of the ${other}; each needs its own name`);
      owner.set(name, section);
    }
  for (const [section, entries] of Object.entries({ containers, services, jobs, volumes }))
    for (const name of Object.keys(entries)) {
      const why = reservedBecause('container', name);
      if (why !== undefined) complain([section, name], `${name} is reserved: ${why}`);
    }
  const claims = new Map(Object.keys(volumes).map((name) => [name, `volume ${name}`]));
  for (const [name, service] of Object.entries(services)) {
    const kind = typeof service === 'string' ? service : service.kind;
    if (entryOf(kind).data === undefined || (typeof service === 'object' && !service.persistent)) continue;
    const claim = (typeof service === 'object' ? service.claim : undefined) ?? name;
    const other = claims.get(claim);
    if (other !== undefined)
      complain(['services', name], `its claim ${claim} is also the one of ${other}; name another with claim: …`);
    claims.set(claim, `service ${name}`);
  }
}

function dependencyFaults({ containers, services, jobs }: Project, complain: Complain): void {
  const known = [...Object.keys(containers), ...Object.keys(services), ...Object.keys(jobs)];
  const edges = new Map<string, { readonly section: string; readonly to: readonly string[] }>();
  for (const [section, entries] of Object.entries({ containers, jobs }))
    for (const [name, { dependsOn }] of Object.entries(entries)) {
      edges.set(name, { section, to: dependsOn });
      for (const [index, to] of dependsOn.entries()) {
        const path = [section, name, 'dependsOn', index];
        if (!known.includes(to)) complain(path, `there is no container, service or job ${to}${didYouMean(to, known)}`);
        else if (to === name) complain(path, `${name} cannot wait for itself`);
        else if (Object.hasOwn(jobs, to) && jobs[to]?.schedule !== undefined)
          complain(
            path,
            `${to} runs by schedule, so that it is never complete; only jobs without schedule can be waited for`,
          );
      }
    }
  const done = new Set<string>();
  for (const name of edges.keys()) {
    const circle = findCircle(name, edges, done);
    if (circle === undefined) continue;
    const section = edges.get(name)?.section ?? 'containers';
    complain([section, name, 'dependsOn'], `they wait for each other: ${circle.join(' → ')}`);
    return;
  }
}

/** Depth is bounded by the number of containers and jobs. */
function findCircle(
  name: string,
  edges: ReadonlyMap<string, { readonly to: readonly string[] }>,
  done: Set<string>,
  open: readonly string[] = [],
): string[] | undefined {
  if (done.has(name)) return undefined;
  if (open.includes(name)) return [...open.slice(open.indexOf(name)), name];
  for (const to of edges.get(name)?.to ?? []) {
    if (to === name) continue;
    const circle = findCircle(to, edges, done, [...open, name]);
    if (circle !== undefined) return circle;
  }
  done.add(name);
  return undefined;
}

const labelKey = /^(?=.{1,253}$)([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

function labelFaults(labels: Readonly<Record<string, string>>, complain: Complain): void {
  for (const [key, value] of Object.entries(labels)) {
    const path = ['labels', key];
    if (!labelKey.test(key))
      complain(path, `${quote(key)} is no label; wanted is one such as cost-centre or acme.com/owner`);
    else if (/(^|\.)(plinth\.dev|kubernetes\.io|k8s\.io)\//.test(key))
      complain(path, `labels of ${key.split('/')[0]} are reserved`);
    if (!labelValue.test(value))
      complain(path, `${quote(value)} is no label value: at most 63 letters, digits, -, _ and ., not at the ends`);
  }
}

/** Names of the secrets that services generate. */
export function generatedSecrets({ services }: Project): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(services).flatMap(([name, service]) => {
      const { secrets } = entryOf(typeof service === 'string' ? service : service.kind);
      return Object.keys(secrets).map((suffix) => [passwordSecret(name, service, suffix), name] as const);
    }),
  );
}

function runningFaults(
  path: SpecPath,
  each: Container | Job,
  project: Project,
  generated: ReadonlyMap<string, string>,
  complain: Complain,
): void {
  if (each.image !== undefined && parseImage(each.image) === undefined)
    complain(
      [...path, 'image'],
      `${quote(each.image)} is no image; wanted is [host/]path[:tag][@digest] in lower case`,
    );
  if (each.user === 0 && project.podSecurity === 'restricted')
    complain([...path, 'user'], 'user 0 is root, which podSecurity restricted refuses');
  resourceFaults([...path, 'resources'], each.resources, complain);
  for (const name of Object.keys(each.env))
    if (/^(PLINTH|KUBERNETES)_/.test(name))
      complain([...path, 'env', name], `${name} is reserved; choose another name`);
  for (const [index, secret] of each.secrets.entries()) {
    secretFaults([...path, 'secrets', index], secret, generated, complain);
    if (Object.hasOwn(each.env, variableOfSecret(secret)))
      complain([...path, 'secrets', index], `${secret} becomes ${variableOfSecret(secret)}, which env sets already`);
  }
  for (const section of ['env', 'files'] as const)
    for (const [name, value] of Object.entries(each[section]))
      if (typeof value === 'object')
        secretFaults([...path, section, name, 'secret'], value.secret, generated, complain);
  pathFaults(path, each, project, complain);
}

function secretFaults(
  path: SpecPath,
  secret: string,
  generated: ReadonlyMap<string, string>,
  complain: Complain,
): void {
  const service = generated.get(secret);
  if (service !== undefined)
    complain(path, `${secret} is generated for ${service}: dependsOn: [${service}] gives it as a variable`);
  else if (/^(plinth|cluster)-/.test(secret))
    complain(path, `secrets that begin with plinth- or cluster- are reserved`);
}

/** Two things cannot appear at one path, and a mount must name a volume. */
function pathFaults(path: SpecPath, each: Container | Job, { volumes }: Project, complain: Complain): void {
  const taken = new Map<string, string>();
  const take = (at: string, what: string, where: SpecPath) => {
    const other = taken.get(at);
    if (other !== undefined) complain(where, `${at} is also one of the ${other}`);
    taken.set(at, what);
  };
  for (const [at, mount] of Object.entries(each.mounts)) {
    const volume = typeof mount === 'string' ? mount : mount.volume;
    take(at, 'mounts', [...path, 'mounts', at]);
    if (!Object.hasOwn(volumes, volume))
      complain(
        [...path, 'mounts', at],
        `there is no volume ${volume}${didYouMean(volume, Object.keys(volumes)) || '; say it in volumes'}`,
      );
  }
  for (const at of Object.keys(each.files)) take(at, 'files', [...path, 'files', at]);
  for (const [index, at] of each.scratch.entries()) take(at, 'scratch folders', [...path, 'scratch', index]);
}

function resourceFaults(path: SpecPath, resources: Container['resources'], complain: Complain): void {
  for (const [request, limit] of [
    ['cpu', 'cpuLimit'],
    ['memory', 'memoryLimit'],
  ] as const) {
    const [asked, most] = [resources[request], resources[limit]];
    if (asked !== undefined && most !== undefined && amountOf(asked) > amountOf(most))
      complain([...path, request], `${request} ${asked} is more than ${limit} ${most}`);
  }
}

function containerFaults(path: SpecPath, container: Container, complain: Complain): void {
  const { port, ports, route, health, autoscale, replicas } = container;
  const taken = new Map<number, string>(port === undefined ? [] : [[port, 'port']]);
  for (const [name, number] of Object.entries(ports)) {
    const other = taken.get(number);
    if (other !== undefined)
      complain([...path, 'ports', name], `port ${number} is used twice: by ${other} and ${name}`);
    taken.set(number, name);
    if (name === 'main') complain([...path, 'ports', name], 'main is the name of the main port; choose another');
  }
  const known = [...taken.keys()].join(', ');
  if (route !== undefined) {
    const wanted = typeof route === 'object' ? route.port : undefined;
    if (wanted === undefined && port === undefined)
      complain([...path, 'route'], 'a route needs a port: say port: 8080 beside it');
    if (wanted !== undefined && !taken.has(wanted))
      complain([...path, 'route', 'port'], `port ${wanted} is none of its ports${known === '' ? '' : ` (${known})`}`);
  }
  if (typeof health === 'string' && port === undefined)
    complain([...path, 'health'], 'an HTTP check needs a port: say port beside it');
  if (typeof health === 'object') {
    if (health.path !== undefined && health.command !== undefined)
      complain([...path, 'health'], 'path and command exclude each other; keep one');
    if (health.command === undefined && health.port === undefined && port === undefined)
      complain([...path, 'health'], 'this check needs a port: say port beside it, or use a command');
  }
  if (autoscale !== undefined) {
    if (autoscale.min > autoscale.max)
      complain([...path, 'autoscale', 'min'], `min ${autoscale.min} is more than max ${autoscale.max}`);
    if (replicas !== undefined) complain([...path, 'replicas'], 'replicas and autoscale exclude each other; keep one');
  }
}

function jobFaults(path: SpecPath, { schedule, timeZone }: Job, complain: Complain): void {
  if (schedule !== undefined) {
    const fault = scheduleFault(schedule);
    if (fault !== undefined) complain([...path, 'schedule'], `${quote(schedule)} is no schedule: ${fault}`);
  } else if (timeZone !== undefined) complain([...path, 'timeZone'], 'a time zone needs a schedule');
  if (timeZone !== undefined && !/^[A-Za-z]+(\/[A-Za-z0-9_+-]+){0,2}$/.test(timeZone))
    complain([...path, 'timeZone'], `${quote(timeZone)} is no time zone; wanted is one such as Europe/Berlin`);
}
