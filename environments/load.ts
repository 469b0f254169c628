import { check, finding } from './check.ts';
import { type Finding, InvalidInput } from './finding.ts';
import { environmentFile, placeOf } from './layout.ts';
import { type Environment, environmentNameFault, environmentSchema } from './schema.ts';
import { type ParsedYaml, parseYaml } from './yaml.ts';

/**
 * Reads one environment.yaml.
 * @returns the environment with every default filled in, frozen through and through
 * @throws InvalidInput with all faults
 */
export function loadEnvironment(name: string, text: string | Uint8Array): Environment {
  return read(name, text, environmentFile(name)).environment;
}

interface Loaded {
  readonly environment: Environment;
  readonly parsed: ParsedYaml;
  readonly file: string;
}

function read(name: string, text: string | Uint8Array, file: string): Loaded {
  const wrongName = environmentNameFault(name);
  if (wrongName !== undefined) throw new InvalidInput([{ file, path: '', message: wrongName }]);
  const parsed = parseYaml(text, file);
  const written = check(environmentSchema, parsed, file);
  if (written.runtime === 'auto' && name !== 'local') {
    const message = 'only the environment local looks for a cluster by itself; say kubernetes or none';
    throw new InvalidInput([finding(parsed, file, ['runtime'], message)]);
  }
  return { environment: freeze({ ...written, name }), parsed, file };
}

/**
 * Reads every environment.yaml among the files of a disk or a tree, in any order; other files are passed over.
 * @returns name → environment, in the order of names
 * @throws InvalidInput with all faults of all files at once, those between two files too
 */
export function loadEnvironments(
  files: Iterable<{ readonly path: string; readonly content: Uint8Array }>,
): ReadonlyMap<string, Environment> {
  const findings: Finding[] = [];
  const loaded = new Map<string, Loaded>();
  const sorted = [...files].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, content } of sorted) {
    const place = placeOf(path);
    if (place.kind !== 'environment') continue;
    try {
      loaded.set(place.environment, read(place.environment, content, path));
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      findings.push(...error.findings);
    }
  }
  findings.push(...sharedDomains(loaded), ...brokenChains(loaded, findings.length > 0));
  if (findings.length > 0) throw new InvalidInput(findings);
  return new Map([...loaded].map(([name, { environment }]) => [name, environment]));
}

/** Two environments with one domain would answer for each other. */
function sharedDomains(loaded: ReadonlyMap<string, Loaded>): Finding[] {
  const all = [...loaded.values()];
  return all.flatMap(({ environment, parsed, file }, index) => {
    const other = all.slice(0, index).find((before) => before.environment.domain === environment.domain);
    if (other === undefined) return [];
    const message = `domain ${environment.domain} belongs to environment ${other.environment.name}; give each its own`;
    return [finding(parsed, file, ['domain'], message)];
  });
}

/** `next` must lead to an environment that is there, and never back. */
function brokenChains(loaded: ReadonlyMap<string, Loaded>, incomplete: boolean): Finding[] {
  return [...loaded.values()].flatMap(({ environment, parsed, file }) => {
    const { name, next } = environment;
    if (next === undefined) return [];
    if (!loaded.has(next)) {
      // An environment that could not be read is there all the same.
      if (incomplete) return [];
      const message = `there is no environment ${next}; there are ${[...loaded.keys()].join(', ')}`;
      return [finding(parsed, file, ['next'], message)];
    }
    const seen = [name];
    for (let at: string | undefined = next; at !== undefined; at = loaded.get(at)?.environment.next) {
      if (at === name)
        return [finding(parsed, file, ['next'], `promotion goes in a circle: ${[...seen, name].join(' → ')}`)];
      if (seen.includes(at)) return [];
      seen.push(at);
    }
    return [];
  });
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
