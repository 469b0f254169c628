import { didYouMean } from '#environments/check.ts';
import { parseImage } from './image.ts';
import type { Plan, SpecPath } from './plan.ts';
import { amountOf } from './quantity.ts';
import type { Project } from './schema.ts';
import { referencesOf } from './variables.ts';

interface Warning {
  readonly path: SpecPath;
  readonly message: string;
}

/** What is allowed and probably not meant. */
export function findWarnings(project: Project, plan: Plan): Warning[] {
  const { environment } = plan;
  const warnings: Warning[] = [];
  const containers = Object.entries(project.containers);
  if (containers.some(([, { port }]) => port !== undefined) && containers.every(([, { route }]) => route === undefined))
    warnings.push({
      path: ['containers'],
      message: 'no container has a route, so that nothing is reachable from outside; route: / opens one',
    });
  for (const [section, entries] of Object.entries({ containers: project.containers, jobs: project.jobs }))
    for (const [name, { image }] of Object.entries(entries)) {
      const parsed = image === undefined ? undefined : parseImage(image);
      if (parsed !== undefined && parsed.digest === undefined && (parsed.tag ?? 'latest') === 'latest')
        warnings.push({
          path: [section, name, 'image'],
          message: `${image} names no version, so that each start may run another one`,
        });
    }
  warnings.push(...unknownVariables(project, plan), ...tightQuota(plan));
  for (const [name, { route }] of containers)
    if (environment.edge === 'gateway' && typeof route === 'object' && route.bodySize !== undefined)
      warnings.push({
        path: ['containers', name, 'route', 'bodySize'],
        message: `environment ${environment.name} has edge: gateway, which knows no limit for bodies`,
      });
  return warnings;
}

/** Kubernetes leaves `$(NAME)` as it is where there is no such variable: mostly a slip of the pen. */
function unknownVariables(project: Project, { workloads, jobs }: Plan): Warning[] {
  const pods = new Map([...workloads, ...jobs].map((pod) => [pod.name, pod.variables]));
  return Object.entries({ containers: project.containers, jobs: project.jobs }).flatMap(([section, entries]) =>
    Object.entries(entries).flatMap(([name, { env }]) => {
      const known = pods.get(name)?.map((variable) => variable.name) ?? [];
      return Object.entries(env).flatMap(([variable, value]) =>
        referencesOf(String(value))
          .filter((other) => !known.includes(other))
          .map((other) => ({
            path: [section, name, 'env', variable],
            message: `$(${other}) names no variable of ${name}, so that it stays as it is${didYouMean(other, known)}`,
          })),
      );
    }),
  );
}

/** A roll starts a new copy before it ends an old one; without room for that it would stand still. */
function tightQuota({ environment, workloads }: Plan): Warning[] {
  const copies = (each: Plan['workloads'][number]) => each.autoscale?.max ?? each.replicas;
  return (['cpuLimit', 'memoryLimit'] as const).flatMap((limit) => {
    const rolling = workloads
      .filter((each) => !each.stateful && copies(each) > 0)
      .map((each) => amountOf(each.resources[limit]));
    const sum = workloads.reduce((total, each) => total + copies(each) * amountOf(each.resources[limit]), 0);
    const most = environment.quota[limit === 'cpuLimit' ? 'cpu' : 'memory'];
    if (rolling.length === 0 || sum + Math.max(...rolling) <= amountOf(most)) return [];
    const message = `at its most this uses so much of the ${most} that environment ${environment.name} allows that a new copy may find no room to start`;
    return [{ path: ['containers'], message }];
  });
}
