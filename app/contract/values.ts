import { z } from 'zod';
import { names } from '#environments/layout.ts';

/** The small values that several routes share. */
const named = (kind: keyof typeof names) => z.string().regex(names[kind].pattern, names[kind].text);

export const environmentName = named('environment').describe('Name of the environment.');
export const teamName = named('team').describe('Name of the team.');
export const projectNamePart = named('project').describe('Name of the project within its team.');
export const containerName = named('container').describe('Name of the container in the spec.');

export const environmentParams = z.strictObject({ environment: environmentName });
export const projectParams = z.strictObject({
  environment: environmentName,
  team: teamName,
  project: projectNamePart,
});

/** UTC, ISO 8601. */
export const time = z.iso.datetime();
/** Full SHA of a commit of the state repository. */
export const revision = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/, 'a full commit id');

/** `?flag`, `?flag=true` or `?flag=1`; absent: false. */
export const flag = z
  .enum(['', 'true', '1', 'false', '0'])
  .optional()
  .transform((text) => text === '' || text === 'true' || text === '1')
  .meta({ override: { type: 'boolean', enum: undefined } });

/** A whole number in a query. */
export const count = (least: number, most: number, standard: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `a whole number from ${least} to ${most}`)
    .transform(Number)
    .pipe(z.int().min(least).max(most))
    .default(standard)
    .meta({ override: { type: 'integer', minimum: least, maximum: most, default: standard, pattern: undefined } });

/** What every list takes: at most `limit` items that come after the cursor of the page before. */
export const page = {
  limit: count(1, 500, 100).describe('How many items at the most.'),
  after: z.string().min(1).max(200).optional().describe('`next` of the page before.'),
};

/** A page of a list. */
export const listOf = <Item extends z.ZodType>(item: Item) =>
  z.object({
    items: z.array(item),
    next: z.string().nullable().describe('Give it as ?after= for the next page; null: this was the last one.'),
  });
