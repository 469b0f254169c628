/** The project that asks; environments/layout.ts calls it ProjectKey. */
export interface ProjectAddress {
  readonly environment: string;
  readonly team: string;
  readonly project: string;
}

/**
 * Whose a secret is, as text: `organization`, `environment/<environment>`, `team/<team>` or
 * `project/<environment>/<team>/<project>`. A project may be given instead of its scope.
 */
export type Scope = string | ProjectAddress;

/** The scope of what belongs to everybody; its secrets list who may use them. */
export const organization = 'organization';
export const teamScope = (team: string) => `team/${team}`;
export const environmentScope = (environment: string) => `environment/${environment}`;
export const projectScope = ({ environment, team, project }: ProjectAddress) =>
  `project/${environment}/${team}/${project}`;

export const scopeText = (scope: Scope) => (typeof scope === 'string' ? scope : projectScope(scope));

/** Where secrets for this project are looked for, nearest first. */
export const scopesOf = (project: ProjectAddress): readonly string[] => [
  projectScope(project),
  teamScope(project.team),
  environmentScope(project.environment),
  organization,
];

/** A grant names projects: `<environment>/<team>/<project>`, each part a name or `*`. */
export const isGrant = (text: string) => /^(\*|[a-z0-9-]+)(\/(\*|[a-z0-9-]+)){2}$/.test(text);

/** True when who looks from the nearest scope `from` may use a secret of `scope` with these grants. */
export function mayUse(from: string, scope: string, grants: readonly string[] | null): boolean {
  if (scope === from) return true;
  const [kind, ...asking] = from.split('/');
  if (kind !== 'project') return false;
  return (grants ?? []).some((grant) => {
    const parts = grant.split('/');
    return parts.length === asking.length && parts.every((part, index) => part === '*' || part === asking[index]);
  });
}
