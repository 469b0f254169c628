import { parseImage } from './image.ts';
import type { Plan, SpecPath } from './plan.ts';
import type { Project } from './schema.ts';

/** What is allowed and probably not meant. */
export function findWarnings(project: Project, { environment }: Plan): { path: SpecPath; message: string }[] {
  const warnings: { path: SpecPath; message: string }[] = [];
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
  for (const [name, { route }] of containers)
    if (environment.edge === 'gateway' && typeof route === 'object' && route.bodySize !== undefined)
      warnings.push({
        path: ['containers', name, 'route', 'bodySize'],
        message: `environment ${environment.name} has edge: gateway, which knows no limit for bodies`,
      });
  return warnings;
}
