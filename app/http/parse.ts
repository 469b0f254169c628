import { distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { Fault } from '#base/errors.ts';
import type { Finding } from '#contract/problem.ts';

type Part = 'path' | 'query' | 'body';

const nothing = z.strictObject({});

/** Parses the query string; a name that comes twice is a fault, as it is never clear which one counts. */
export function parseQuery(schema: z.ZodObject | undefined, search: string): Record<string, unknown> {
  if (search === '' && schema === undefined) return {};
  const given: Record<string, string> = Object.create(null);
  const findings: Finding[] = [];
  for (const [name, value] of new URLSearchParams(search)) {
    if (name in given) findings.push({ file: 'query', path: name, message: 'it is given twice; once is wanted' });
    if (`${name}${value}`.includes('\0')) findings.push({ file: 'query', path: name, message: 'it holds a zero byte' });
    given[name] = value;
  }
  if (findings.length > 0) throw new Fault('REQUEST_INVALID', { findings });
  return parsePart('query', schema ?? nothing, { ...given }) as Record<string, unknown>;
}

/**
 * Parses one part of a request by the contract.
 * @throws Fault REQUEST_INVALID with all findings. What came is quoted from path and query, never from a body.
 */
export function parsePart(part: Part, schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const findings = result.error.issues.flatMap((issue) => findingsOf(part, schema, value, issue));
  throw new Fault('REQUEST_INVALID', { findings });
}

function findingsOf(part: Part, schema: z.ZodType, value: unknown, issue: z.core.$ZodIssue): Finding[] {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      file: part,
      path: [...issue.path.map(String), key].join('.'),
      message: `${JSON.stringify(shorten(key))} is not known here${suggestion(key, keysOf(schema, issue.path))}`,
    }));
  return [{ file: part, path, message: messageOf(part, issue, at(value, issue.path)) }];
}

function messageOf(part: Part, issue: z.core.$ZodIssue, came: unknown): string {
  const wanted = issue.message.charAt(0).toLowerCase() + issue.message.slice(1);
  if (came === undefined && issue.code === 'invalid_type') return `it is missing; wanted is ${issue.expected}`;
  if (part === 'body') return `wanted is ${wanted.replace(/^invalid input: expected /, '')}`;
  return `it is ${JSON.stringify(shorten(String(came)))}; wanted is ${wanted.replace(/^invalid input: expected /, '')}`;
}

function keysOf(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let here = bare(schema);
  for (const step of path) here = here instanceof z.ZodObject ? bare(here.shape[String(step)]) : undefined;
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
}

/** A schema without what only says that it may be absent. */
function bare(schema: unknown): unknown {
  const wrapped = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable;
  return wrapped ? bare(schema.unwrap()) : schema;
}

function suggestion(key: string, known: readonly string[]): string {
  const near = known
    .map((name) => ({ name, steps: distance(key.slice(0, 64).toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, steps }) => steps <= Math.max(2, Math.floor(name.length / 3)))
    .sort((a, b) => a.steps - b.steps)[0];
  if (near !== undefined) return `; did you mean ${near.name}?`;
  return known.length === 0 ? '' : `; there are ${known.join(', ')}`;
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let here = value;
  for (const step of path)
    here = typeof here === 'object' && here !== null ? (here as Record<PropertyKey, unknown>)[step] : undefined;
  return here;
}

const shorten = (text: string) => (text.length > 100 ? `${text.slice(0, 100)}…` : text);
