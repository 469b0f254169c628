/**
 * Every path of the state repository, said once.
 *
 *     environments/<environment>/environment.yaml
 *     environments/<environment>/<team>/<project>/project.yaml
 *     environments/<environment>/<team>/<project>/manifests.yaml
 *     environments/platform/*.yaml
 */
export interface ProjectKey {
  readonly environment: string;
  readonly team: string;
  readonly project: string;
}

export const root = 'environments';
const platformFolder = `${root}/platform`;
/** Holds the installation's id: it must be the same in Git and in PostgreSQL. */
export const installationFile = `${platformFolder}/installation.yaml`;

/** Lower case, digits and single hyphens, a letter first; `most` characters at the most. */
const name = (least: number, most: number) => ({
  least,
  most,
  pattern: new RegExp(`^(?=.{${least},${most}}$)[a-z](?:-?[a-z0-9])*$`),
  text: `${least} to ${most} characters: lower case letters, digits and single hyphens, a letter first`,
});

export const names = {
  environment: name(2, 10),
  team: name(3, 17),
  project: name(3, 20),
  container: name(2, 20),
} as const;

/** Why a well-formed name may still not be used, or undefined. */
export function reservedBecause(kind: keyof typeof names, text: string): string | undefined {
  if (/^pr-\d+$/.test(text)) return 'names of the form pr-<digits> belong to previews';
  if (text === 'xn' || text.startsWith('xn-')) return 'xn is kept for internationalised domain names';
  if ((kind === 'environment' || kind === 'team') && text === 'platform')
    return 'platform is the folder of the platform resources';
  return undefined;
}

export const environmentFolder = (environment: string) => `${root}/${environment}`;
export const environmentFile = (environment: string) => `${root}/${environment}/environment.yaml`;
const projectFolder = ({ environment, team, project }: ProjectKey) => `${root}/${environment}/${team}/${project}`;
export const specFile = (key: ProjectKey) => `${projectFolder(key)}/project.yaml`;
export const manifestsFile = (key: ProjectKey) => `${projectFolder(key)}/manifests.yaml`;

/** What a path of the state repository is. Anything that is none of these has no meaning to Plinth. */
export type Place =
  | { readonly kind: 'environment'; readonly environment: string }
  | { readonly kind: 'spec' | 'manifests'; readonly key: ProjectKey }
  | { readonly kind: 'platform'; readonly file: string }
  | { readonly kind: 'unknown' };

/** Reads a path back into what it names. Names are not checked for form here: see `names`. */
export function placeOf(path: string): Place {
  const parts = path.split('/');
  if (parts[0] !== root) return { kind: 'unknown' };
  if (parts[1] === 'platform' && parts.length === 3 && parts[2] !== undefined)
    return { kind: 'platform', file: parts[2] };
  if (parts.length === 3 && parts[2] === 'environment.yaml')
    return { kind: 'environment', environment: parts[1] ?? '' };
  if (parts.length === 5) {
    const key = { environment: parts[1] ?? '', team: parts[2] ?? '', project: parts[3] ?? '' };
    if (parts[4] === 'project.yaml') return { kind: 'spec', key };
    if (parts[4] === 'manifests.yaml') return { kind: 'manifests', key };
  }
  return { kind: 'unknown' };
}

/** The namespace of a project; fits the 63 characters of a label for every legal combination of names. */
export const namespaceOf = ({ environment, team, project }: ProjectKey) => `${environment}--${team}--${project}`;

/** The text that a person types to name a project within an environment, and to confirm deleting it. */
export const projectName = ({ team, project }: Pick<ProjectKey, 'team' | 'project'>) => `${team}/${project}`;

/** A key as one string, for maps; the parts hold no slash. */
export const keyText = ({ environment, team, project }: ProjectKey) => `${environment}/${team}/${project}`;
