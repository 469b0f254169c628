import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProjectKey } from '#environments/layout.ts';
import { loadEnvironment } from '#environments/load.ts';
import type { Environment } from '#environments/schema.ts';
import { type Rendered, render } from '#synth/render.ts';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../golden');
/** A team of their own, so that on a shared cluster their namespaces are nobody else's. */
const team = 'atlas';

export interface Golden {
  readonly name: string;
  readonly key: ProjectKey;
  readonly environment: Environment;
  readonly spec: string;
  readonly rendered: Rendered;
  readonly manifestsPath: string;
  /** What lies in Git, or undefined where it was never written. */
  readonly manifests: string | undefined;
}

/** Every project below tests/golden, rendered now. */
export function goldens(): Golden[] {
  return environmentNames().flatMap((name) => {
    const environment = goldenEnvironment(name);
    return readdirSync(join(folder, name), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => {
        const key = { environment: name, team, project: entry.name };
        const spec = readFileSync(join(folder, name, entry.name, 'project.yaml'), 'utf8');
        const manifestsPath = join(folder, name, entry.name, 'manifests.yaml');
        return {
          name: `${name}/${entry.name}`,
          key,
          environment,
          spec,
          rendered: render({ environment, key, spec }),
          manifestsPath,
          manifests: existsSync(manifestsPath) ? readFileSync(manifestsPath, 'utf8') : undefined,
        };
      });
  });
}

const goldenEnvironment = (name: string): Environment =>
  loadEnvironment(name, readFileSync(join(folder, name, 'environment.yaml')));

const environmentNames = () =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
