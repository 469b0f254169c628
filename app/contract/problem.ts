import { z } from 'zod';

export const findingView = z
  .object({
    file: z.string().describe('Path in the repository, or the name of the input.'),
    line: z.int().optional(),
    column: z.int().optional(),
    path: z.string().describe('The place as dotted keys; empty for the whole document.'),
    message: z.string(),
  })
  .meta({ id: 'Finding' });
export type Finding = Readonly<z.output<typeof findingView>>;

/** RFC 9457. Sent with Content-Type application/problem+json. */
export const problem = z
  .object({
    type: z.string().describe('urn:plinth:problem:<code in lower case with hyphens>'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('One of the closed list of codes.'),
    detail: z.string().describe('What came, what was wanted and what to do.'),
    request: z.string().describe('Id of the request; the log has it.'),
    findings: z.array(findingView).optional(),
    data: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.output<typeof problem>;

/** Why a change was refused, or a project does not get on: the part of a problem that outlives its request. */
export const reasonView = z
  .object({
    code: z.string(),
    detail: z.string(),
    findings: z.array(findingView).optional(),
    data: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Refusal' });
