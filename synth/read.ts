import { check, finding, inOrder } from '#environments/check.ts';
import { type Finding, InvalidInput } from '#environments/finding.ts';
import { type ParsedYaml, parseYaml } from '#environments/yaml.ts';
import { findFaults } from './faults.ts';
import { inherit } from './inherit.ts';
import type { Complain } from './plan.ts';
import { type Project, projectSchema } from './schema.ts';

/** A spec that was read, and a place to put what is still found wrong with it. */
export interface SpecReading {
  /** With every `like` carried out. */
  readonly project: Project;
  readonly complain: Complain;
  /** Throws InvalidInput with all that was complained of. */
  refuse(): void;
  finding(path: readonly (string | number)[], message: string): Finding;
}

/**
 * Reads project.yaml up to everything that can be said of it without its environment.
 * @throws InvalidInput with all faults
 */
export function readSpec(text: string | Uint8Array, file: string): SpecReading {
  const parsed = parseYaml(text, file);
  const written = check(projectSchema, parsed, file, withTexts(parsed));
  const findings: Finding[] = [];
  const complain: Complain = (path, message) => findings.push(finding(parsed, file, path, message));
  const refuse = () => {
    if (findings.length > 0) throw new InvalidInput(inOrder(findings));
  };
  const project = inherit(written, complain);
  refuse();
  findFaults(project, complain);
  refuse();
  return { project, complain, refuse, finding: (path, message) => finding(parsed, file, path, message) };
}

/** Numbers and booleans among variables become the text that was written: `1.10` stays 1.10. */
function withTexts(parsed: ParsedYaml): unknown {
  const walk = (value: unknown, path: readonly (string | number)[]): unknown => {
    if (Array.isArray(value)) return value.map((inner, index) => walk(inner, [...path, index]));
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner, [...path, key])]));
    const variable = path.at(-2) === 'env' && path.length === 4;
    return variable && (typeof value === 'number' || typeof value === 'boolean')
      ? (parsed.source(path) ?? String(value))
      : value;
  };
  return walk(parsed.value, []);
}
