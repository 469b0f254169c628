import { didYouMean } from '#environments/check.ts';
import type { Complain, Plan } from './plan.ts';
import { amountOf, bytesText } from './quantity.ts';
import { overlap, within } from './ranges.ts';
import type { Project } from './schema.ts';

/** What the environment allows, and what it has room for. */
export function checkBounds(plan: Plan, project: Project, complain: Complain): void {
  const { environment, podSecurity, secrets } = plan;
  if (podSecurity === 'baseline' && environment.podSecurity !== 'baseline')
    complain(['podSecurity'], `environment ${environment.name} allows only restricted`);
  if (
    environment.pullSecret !== undefined &&
    secrets.some((use) => use.scope === 'project' && use.name === environment.pullSecret)
  )
    complain([], `secret ${environment.pullSecret} is the environment's pull secret; call yours by another name`);
  egressBounds(plan, complain);
  quotaBounds(plan, project, complain);
}

function egressBounds({ environment, egress }: Plan, complain: Complain): void {
  const { network } = environment;
  const listed = network.egress;
  for (const [index, wish] of egress.entries()) {
    const path = ['network', 'egress', index];
    const ranges = listed.filter(({ cidr }) => within(wish.cidr, cidr));
    // A public range opens nothing that the internet at large would not be.
    const open = ![...network.deniedRanges, ...network.apiServer].some((denied) => overlap(wish.cidr, denied));
    if (ranges.length === 0 && !open) {
      const known = listed.map(({ cidr }) => cidr);
      const list = known.length === 0 ? 'it lists none' : `it lists ${known.join(', ')}`;
      complain(
        [...path, 'cidr'],
        `environment ${environment.name} does not list ${wish.cidr} in network.egress; ${list}${didYouMean(wish.cidr, known)}`,
      );
    }
    if (open || ranges.length === 0 || ranges.some(({ ports }) => ports === undefined)) continue;
    const ports = ranges.flatMap(({ ports }) => ports ?? []);
    const wrong = (wish.ports ?? []).filter((port) => !ports.includes(port));
    if (wrong.length > 0)
      complain(
        [...path, 'ports'],
        `environment ${environment.name} lists ${wish.cidr} with ports ${ports.join(', ')}, not ${wrong.join(', ')}`,
      );
  }
}

/** What could never start is refused now, instead of pods that wait for ever. */
function quotaBounds(plan: Plan, project: Project, complain: Complain): void {
  const { environment, claims, workloads } = plan;
  const { quota } = environment;
  const copies = (each: Plan['workloads'][number]) => each.autoscale?.min ?? each.replicas;
  const sum = (of: (each: Plan['workloads'][number]) => number) =>
    workloads.reduce((total, each) => total + copies(each) * of(each), 0);
  const storage = claims.reduce((total, { size }) => total + amountOf(size), 0);
  const cpu = sum(({ resources }) => amountOf(resources.cpuLimit));
  const memory = sum(({ resources }) => amountOf(resources.memoryLimit));
  const pods = sum(() => 1);
  const where = Object.keys(project.containers).length > 0 ? ['containers'] : ['services'];
  if (storage > amountOf(quota.storage))
    complain(
      ['volumes'],
      `volumes add up to ${bytesText(storage)}; environment ${environment.name} allows ${quota.storage} a project`,
    );
  if (claims.length > quota.volumes)
    complain(
      ['volumes'],
      `there are ${claims.length} volumes; environment ${environment.name} allows ${quota.volumes} a project`,
    );
  if (cpu > amountOf(quota.cpu) + 1e-9)
    complain(
      where,
      `CPU limits add up to ${Math.round(cpu * 1000) / 1000}; environment ${environment.name} allows ${quota.cpu} a project`,
    );
  if (memory > amountOf(quota.memory))
    complain(
      where,
      `memory limits add up to ${bytesText(memory)}; environment ${environment.name} allows ${quota.memory} a project`,
    );
  if (pods > quota.pods)
    complain(where, `there are ${pods} copies; environment ${environment.name} allows ${quota.pods} pods a project`);
}
