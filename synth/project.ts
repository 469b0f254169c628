import { readSpec } from './read.ts';
import type { Project } from './schema.ts';

export { type Project, type ProjectInput, projectSchema } from './schema.ts';

/**
 * Reads project.yaml (or the same as JSON), with every `like` carried out.
 * @param file what findings call it
 * @throws InvalidInput with all faults that do not depend on the environment
 */
export function loadProject(text: string | Uint8Array, file = 'project.yaml'): Project {
  return readSpec(text, file).project;
}
