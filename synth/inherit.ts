import { didYouMean } from '#environments/check.ts';
import type { Complain } from './plan.ts';
import type { Project, Running } from './schema.ts';

/** The project with every `like` carried out. One that leads nowhere, or on to another, is complained of and left. */
export function inherit(project: Project, complain: Complain): Project {
  const { containers, jobs } = project;
  const map = <T extends Running & { like?: string }>(section: 'containers' | 'jobs', entries: Record<string, T>) =>
    Object.fromEntries(
      Object.entries(entries).map(([name, each]) => {
        const base = baseOf(name, each.like, section);
        return [
          name,
          base === undefined ? each : { ...each, ...merged(each, base, name, section === 'jobs' ? jobs : {}) },
        ];
      }),
    );
  const baseOf = (name: string, like: string | undefined, section: 'containers' | 'jobs') => {
    if (like === undefined) return undefined;
    const base = Object.hasOwn(containers, like) ? containers[like] : undefined;
    const path = [section, name, 'like'];
    if (base === undefined) {
      complain(path, `there is no container ${like}${didYouMean(like, Object.keys(containers))}`);
      return undefined;
    }
    if (base.like !== undefined) {
      complain(path, `${like} is itself like ${base.like}; name that`);
      return undefined;
    }
    return base;
  };
  return { ...project, containers: map('containers', containers), jobs: map('jobs', jobs) };
}

/** What is written wins over what is taken; maps and lists are joined. */
function merged(own: Running, base: Running, name: string, without: Readonly<Record<string, unknown>>): Running {
  const taken = base.dependsOn.filter((each) => each !== name && !Object.hasOwn(without, each));
  const ownNames = new Set([...Object.keys(own.env), ...own.secrets.map(variableOfSecret)]);
  const env = Object.entries(base.env).filter(([variable]) => !ownNames.has(variable));
  return {
    image: own.image ?? base.image,
    env: { ...Object.fromEntries(env), ...own.env },
    secrets: [
      ...new Set([...base.secrets.filter((secret) => !ownNames.has(variableOfSecret(secret))), ...own.secrets]),
    ],
    files: { ...base.files, ...own.files },
    mounts: { ...base.mounts, ...own.mounts },
    scratch: [...new Set([...base.scratch, ...own.scratch])],
    dependsOn: [...new Set([...taken, ...own.dependsOn])],
    resources: { ...base.resources, ...own.resources },
    user: own.user ?? base.user,
    readOnlyRoot: own.readOnlyRoot ?? base.readOnlyRoot,
  };
}

/** `openai-api-key` → `OPENAI_API_KEY` */
export const variableOfSecret = (secret: string) => secret.toUpperCase().replaceAll('-', '_');
