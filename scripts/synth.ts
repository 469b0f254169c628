import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Finding, formatFinding, InvalidInput } from '#environments/finding.ts';
import { type ProjectKey, placeOf, root } from '#environments/layout.ts';
import { loadEnvironment, loadEnvironments } from '#environments/load.ts';
import type { Environment } from '#environments/schema.ts';
import { render } from '#synth/render.ts';

const usage = `usage: npm run synth -- <folder> [--check | --print]
       npm run synth -- <folder> --environment <environment.yaml> [--as <team>/<project>] [--check | --print]

Renders every project.yaml below a folder that is laid out like the state repository
(environments/<environment>/<team>/<project>/project.yaml), or the project.yaml in the folder itself, for the
environment that is named, else for the distribution's own local. Writes manifests.yaml beside each; --print prints them instead, --check only compares.
Exit 1: a file is not valid, or, with --check, not up to date.`;

const distributed = join(import.meta.dirname, '../environments/local/environment.yaml');

interface Task {
  readonly spec: string;
  readonly key: ProjectKey;
  readonly environment: Environment;
}

type Mode = 'write' | 'check' | 'print';

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      environment: { type: 'string' },
      as: { type: 'string' },
      check: { type: 'boolean', default: false },
      print: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [given] = positionals;
  // A person may name the spec itself.
  const folder = given !== undefined && basename(given) === 'project.yaml' ? dirname(given) : given;
  if (values.help || folder === undefined || positionals.length > 1 || !existsSync(folder)) {
    console.error(
      values.help ? usage : `${folder === undefined ? '' : `cannot read ${positionals.join(' ')}\n`}${usage}`,
    );
    return values.help ? 0 : 1;
  }
  const mode: Mode = values.check ? 'check' : values.print ? 'print' : 'write';
  const findings: Finding[] = [];
  const tasks = collect(findings, () =>
    values.environment === undefined && !isLoneSpec(folder)
      ? tasksBelow(folder)
      : [oneTask(folder, values.environment ?? distributed, values.as)],
  );
  if (tasks?.length === 0)
    console.error(`there is no ${root}/<environment>/<team>/<project>/project.yaml below ${folder}`);
  const done = (tasks ?? []).map((task) => collect(findings, () => carryOut(task, mode)) ?? false);
  for (const finding of findings) console.error(formatFinding(finding));
  return tasks !== undefined && tasks.length > 0 && done.every(Boolean) ? 0 : 1;
}

/** The result, or undefined with what was wrong among the findings. */
function collect<T>(findings: Finding[], run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    findings.push(...error.findings);
    return undefined;
  }
}

/** true: all is well. */
function carryOut({ spec, key, environment }: Task, mode: Mode): boolean {
  const target = join(dirname(spec), 'manifests.yaml');
  const shown = relative(process.cwd(), target);
  const rendered = inFile(spec, () => render({ environment, key, spec: readFileSync(spec) }));
  for (const warning of rendered.warnings)
    console.error(`warning: ${formatFinding({ ...warning, file: relative(process.cwd(), spec) })}`);
  if (mode === 'print') {
    process.stdout.write(rendered.manifests);
    return true;
  }
  const same = existsSync(target) && readFileSync(target, 'utf8') === rendered.manifests;
  if (mode === 'check') {
    console.log(`${shown}: ${same ? 'up to date' : 'is not what its spec renders to; run npm run synth'}`);
    return same;
  }
  if (!same) writeFileSync(target, rendered.manifests);
  console.log(`${shown}: ${same ? 'unchanged' : 'written'}, ${rendered.objects} objects`);
  return true;
}

/** Findings name the file as the caller sees it, so that a terminal makes a link of them. */
function inFile<T>(spec: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    throw new InvalidInput(error.findings.map((finding) => ({ ...finding, file: relative(process.cwd(), spec) })));
  }
}

function tasksBelow(folder: string): Task[] {
  const base = baseOf(resolve(folder));
  const files = readdirSync(base, { recursive: true, encoding: 'utf8' }).map((path) => ({
    path,
    place: placeOf(path),
  }));
  const below = relative(base, resolve(folder));
  const environments = loadEnvironments(
    files
      .filter(({ place }) => place.kind === 'environment')
      .map(({ path }) => ({ path, content: readFileSync(join(base, path)) })),
  );
  return files
    .filter(({ path }) => below === '' || path.startsWith(`${below}/`))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .flatMap(({ path, place }) => {
      if (place.kind !== 'spec') return [];
      const environment = environments.get(place.key.environment);
      const message = `there is no ${root}/${place.key.environment}/environment.yaml`;
      if (environment === undefined) throw new InvalidInput([{ file: path, path: '', message }]);
      return [{ spec: join(base, path), key: place.key, environment }];
    });
}

/** True for a folder with a spec that lies in no environment: it is rendered for the distribution's `local`. */
const isLoneSpec = (folder: string): boolean =>
  existsSync(join(folder, 'project.yaml')) &&
  !resolve(folder).split('/').includes(root) &&
  !existsSync(join(folder, root));

/** The folder that holds `environments/`: the one given, or the nearest above it that one can be part of. */
function baseOf(folder: string): string {
  if (existsSync(join(folder, root))) return folder;
  const parts = folder.split('/');
  const at = parts.lastIndexOf(root);
  return at === -1 ? folder : parts.slice(0, at).join('/') || '/';
}

function oneTask(folder: string, file: string, as: string | undefined): Task {
  const name = basename(dirname(resolve(file)));
  const environment = inFile(file, () => loadEnvironment(name, readFileSync(file)));
  const [team = 'team', project = ''] = as?.split('/') ?? ['team', basename(resolve(folder))];
  return { spec: join(folder, 'project.yaml'), key: { environment: name, team, project }, environment };
}

process.exit(main());
