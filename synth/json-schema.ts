import { z } from 'zod';
import { environmentSchema } from '#environments/schema.ts';
import { projectSchema } from './schema.ts';

/** JSON Schemas of what people write, for editors: the same descriptions and bounds that the control plane checks. */
export function jsonSchemas(): { project: object; environment: object } {
  return {
    project: write(projectSchema, 'project.yaml of Plinth'),
    environment: write(environmentSchema, 'environment.yaml of Plinth'),
  };
}

function write(schema: z.ZodType, title: string): object {
  return { ...z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' }), title };
}
