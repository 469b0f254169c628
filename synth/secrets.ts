import type { Environment } from '#environments/schema.ts';
import { generatedSecrets } from './faults.ts';
import type { PodPlan, SecretUse } from './plan.ts';
import type { Project } from './schema.ts';

/** Long enough for good, and made of letters and digits, since it stands inside addresses. */
const generatedLength = 32;

/** Every secret that the pods refer to, by name: the project's, those that services generate, the pull secret. */
export function usedSecrets(
  project: Project,
  workloads: readonly PodPlan[],
  jobs: readonly PodPlan[],
  environment: Environment,
): SecretUse[] {
  const generated = generatedSecrets(project);
  const names = new Set([...workloads, ...jobs].flatMap(secretsOf));
  const uses = [...names].map(
    (name): SecretUse =>
      generated.has(name)
        ? { name, generated: true, length: generatedLength, scope: 'project' }
        : { name, generated: false, scope: 'project' },
  );
  if (environment.pullSecret !== undefined)
    uses.push({ name: environment.pullSecret, generated: false, scope: 'organization' });
  return uses.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Names of the secrets that one pod uses, each once, sorted; the pull secret is not among them. */
export function secretsOf({ variables, files }: PodPlan): string[] {
  const used = [...variables, ...files].flatMap((each) => ('secret' in each ? [each.secret] : []));
  return [...new Set(used)].sort();
}
