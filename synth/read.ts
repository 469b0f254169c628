import { check, finding, inOrder } from '#environments/check.ts';
import { type Finding, InvalidInput } from '#environments/finding.ts';
import { parseYaml } from '#environments/yaml.ts';
import { findFaults } from './faults.ts';
import { inherit } from './inherit.ts';
import type { Complain } from './plan.ts';
import { type Project, projectSchema } from './schema.ts';

/** Of a spec with its aliases expanded and every `like` carried out: both could multiply what a small file says. */
const mostCharacters = 1_000_000;

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
  const written = check(projectSchema, parsed, file);
  const findings: Finding[] = [];
  const complain: Complain = (path, message) => findings.push(finding(parsed, file, path, message));
  const refuse = () => {
    if (findings.length > 0) throw new InvalidInput(inOrder(findings));
  };
  const project = inherit(written, complain);
  refuse();
  const size = JSON.stringify(project).length;
  if (size > mostCharacters)
    complain([], `with every like carried out it has ${size} characters; the most is ${mostCharacters}`);
  refuse();
  findFaults(project, complain);
  refuse();
  return { project, complain, refuse, finding: (path, message) => finding(parsed, file, path, message) };
}
