import { z } from 'zod';

const pointer = z
  .string()
  .max(500)
  .regex(/^(\/.*)?$/, 'a JSON Pointer such as /spec/replicas');
const patchPath = pointer.describe('Where, as a JSON Pointer: / in a name is written ~1.');

const patch = z.strictObject({
  target: z
    .strictObject({
      kind: z.string().max(63).describe('Kind of the object, such as Deployment.'),
      name: z.string().max(253).describe('Its name; of a job its name in this file.'),
    })
    .describe('The object to change; its manifests show what there is.'),
  patch: z
    .array(
      z.discriminatedUnion('op', [
        z.strictObject({
          op: z
            .enum(['add', 'replace', 'test'])
            .describe('What to do; test refuses the patch where the value is another.'),
          path: patchPath,
          value: z.json().describe('The new value, or the one that must be there.'),
        }),
        z.strictObject({ op: z.literal('remove').describe('Takes away what is there.'), path: patchPath }),
        z.strictObject({
          op: z.enum(['move', 'copy']).describe('Puts there what stands elsewhere.'),
          path: patchPath,
          from: pointer.describe('Where the value is taken from.'),
        }),
      ]),
    )
    .min(1)
    .max(50)
    .describe('Operations of JSON Patch (RFC 6902), in order.'),
});

/** `patches` of project.yaml: what a person changes in the objects that come out. */
export const patches = z
  .array(patch)
  .max(50)
  .default([])
  .describe('JSON Patch on the objects that come out, applied last. Refused where it weakens a guard.');
