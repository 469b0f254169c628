import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { type Finding, InvalidInput } from './finding.ts';
import type { ParsedYaml } from './yaml.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly (string | number)[];

/**
 * Reads parsed YAML by a schema.
 * @returns the value with every default filled in
 * @throws InvalidInput with one finding per fault: where it stands, what came, what was wanted, what was probably meant
 */
export function check<Schema extends z.ZodType>(schema: Schema, parsed: ParsedYaml, file: string): z.output<Schema> {
  const first = schema.safeParse(parsed.value, { reportInput: true });
  if (first.success) return first.data;
  const result = schema.safeParse(asWritten(parsed, first.error.issues), { reportInput: true });
  if (result.success) return result.data;
  const findings = result.error.issues
    .flatMap((issue) => faults(issue, schema))
    .slice(0, mostFindings)
    .map(({ path, message }) => finding(parsed, file, path, message));
  throw new InvalidInput(inOrder(findings));
}

/** More than these tell a person nothing new; a hostile file could have thousands. */
const mostFindings = 100;

/** As a person reads the file: from its top down. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const sorted = findings.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  return sorted.slice(0, mostFindings);
}

/**
 * The value with numbers and switches that stand where text is wanted as the text that was written: `version: 17`,
 * `args: [--port, 8080]` and `VERSION: 1.10` mean what they say.
 */
function asWritten(parsed: ParsedYaml, issues: readonly Issue[]): unknown {
  const value = structuredClone(parsed.value);
  for (const { path, input } of issues.flatMap((issue) => textsWanted(issue, [])))
    replace(value, path, parsed.source(path) ?? String(input));
  return value;
}

/** Places where text is wanted, by the schema or by a branch of it, and a number or a switch came. */
function textsWanted(issue: Issue, above: Path): { readonly path: Path; readonly input: unknown }[] {
  const path = [...above, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  if (issue.code === 'invalid_union') return issue.errors.flat().flatMap((inner) => textsWanted(inner, path));
  const wanted = issue.code === 'invalid_type' && issue.expected === 'string';
  return wanted && ['number', 'boolean'].includes(typeof issue.input) ? [{ path, input: issue.input }] : [];
}

function replace(value: unknown, path: Path, text: string): void {
  let at = value;
  for (const part of path.slice(0, -1)) at = (at as Record<string | number, unknown> | undefined)?.[part];
  const last = path.at(-1);
  if (typeof at === 'object' && at !== null && last !== undefined) Object.assign(at, { [last]: text });
}

/** A finding at a path of the file, with line and column. */
export function finding(parsed: ParsedYaml, file: string, path: Path, message: string): Finding {
  return { file, ...parsed.place(path), path: dotted(path), message };
}

/** ` (did you mean x?)` where one of the known words is near, else nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const near = closest(word, known);
  const most = Math.max(2, Math.floor(Math.min(word.length, near.length) / 3));
  return distance(word.toLowerCase(), near.toLowerCase()) <= most ? `; did you mean ${near}?` : '';
}

/** What came, short enough to read: `"8080"`, `a list`, `nothing`. */
export function quote(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'an empty value';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/**
 * Where the name of a secret is wanted, somebody may have put the secret itself: what came there is counted, never
 * shown, since findings stand in replies, logs and the record of changes.
 */
function cite(path: Path, value: unknown): string {
  const isHidden = typeof value === 'string' && path.some((part) => part === 'secret' || part === 'secrets');
  return isHidden ? `text of ${value.length} characters` : quote(value);
}

/** `containers.web.ports[0]` */
function dotted(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const plain = /^[\w-]+$/.test(part) ? part : JSON.stringify(part);
      return index === 0 ? plain : `.${plain}`;
    })
    .join('');
}

interface Fault {
  readonly path: Path;
  readonly message: string;
}

function faults(issue: Issue, schema: z.core.$ZodType): Fault[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const known = fieldsAt(schema, path);
        const near = didYouMean(key, known) || (known.length > 0 ? `; known are ${known.join(', ')}` : '');
        return { path: [...path, key], message: `there is no field ${key}${near}` };
      });
    case 'invalid_union':
      return unionFaults(issue, schema, path);
    case 'invalid_key':
      return [{ path, message: `the name ${quote(path.at(-1))} is not valid: wanted is ${wantedKey(issue)}` }];
    case 'invalid_value': {
      const values = issue.values.map(String);
      const near = typeof issue.input === 'string' ? didYouMean(issue.input, values) : '';
      if (issue.input === undefined) return [{ path, message: `this is missing; wanted is ${oneOf(values)}` }];
      return [{ path, message: `it is ${cite(path, issue.input)}; wanted is ${oneOf(values)}${near}` }];
    }
    case 'invalid_type':
      if (issue.input === undefined)
        return [{ path, message: `this is missing; wanted is ${typeText(issue.expected)}` }];
      return [{ path, message: `it is ${cite(path, issue.input)}; wanted is ${typeText(issue.expected)}` }];
    case 'too_big':
      return [{ path, message: `it is ${sized(issue)}; the most is ${issue.maximum}` }];
    case 'too_small':
      return [{ path, message: `it is ${sized(issue)}; the least is ${issue.minimum}` }];
    case 'invalid_format':
      return [{ path, message: `it is ${cite(path, issue.input)}; wanted is ${formatText(issue)}` }];
    default:
      return [{ path, message: issue.message }];
  }
}

/**
 * The branch that the writer meant is the one that found fault further in, or that takes the value but for its size;
 * where there is none, all that would have been taken are named.
 */
function unionFaults(issue: z.core.$ZodIssueInvalidUnion, schema: z.core.$ZodType, path: Path): Fault[] {
  const under = (inner: Issue): Issue => ({ ...inner, path: [...path, ...inner.path] });
  const options = issue.errors.map((errors) => errors.map(under));
  const kept = options.filter((errors) => !errors.some((error) => misses(error, path)));
  const branch = kept.toSorted((a, b) => depth(b, path) - depth(a, path) || a.length - b.length)[0];
  if (branch !== undefined) return branch.flatMap((error) => faults(error, schema));
  const all = options.flat().filter((error) => error.path.length === path.length);
  const wanted = [...new Set(all.flatMap(wantedBy))].join(', or ');
  const words = all.flatMap((error) => (error.code === 'invalid_value' ? error.values.map(String) : []));
  const near = typeof issue.input === 'string' ? didYouMean(issue.input, words) : '';
  return [{ path, message: `it is ${cite(path, issue.input)}; wanted is ${wanted}${near}` }];
}

function wantedBy(error: Issue): string[] {
  switch (error.code) {
    case 'invalid_type':
      return [typeText(error.expected)];
    case 'invalid_value':
      return [oneOf(error.values.map(String))];
    case 'invalid_format':
      return [formatText(error)];
    case 'invalid_union':
      return error.errors
        .flat()
        .filter((inner) => inner.path.length === 0)
        .flatMap(wantedBy);
    default:
      return [error.message];
  }
}

const misses = (error: Issue, path: Path) =>
  error.path.length === path.length &&
  ['invalid_type', 'invalid_value', 'invalid_union', 'invalid_format'].includes(error.code);

const depth = (errors: readonly Issue[], path: Path) =>
  Math.max(...errors.map((error) => error.path.length)) - path.length;

function wantedKey(issue: z.core.$ZodIssueInvalidKey): string {
  const inner = issue.issues[0];
  if (inner === undefined) return 'another one';
  if (inner.code === 'invalid_value') {
    const values = inner.values.map(String);
    return oneOf(values) + (typeof inner.input === 'string' ? didYouMean(inner.input, values) : '');
  }
  return inner.code === 'invalid_format' ? formatText(inner) : inner.message;
}

const oneOf = (values: readonly string[]) => (values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`);

function sized(issue: { input?: unknown; origin: string }): string {
  const { input, origin } = issue;
  if (typeof input === 'string') return `${input.length} characters long`;
  if (Array.isArray(input)) return `${input.length} entries long`;
  if (typeof input === 'object' && input !== null) return `a map of ${Object.keys(input).length} entries`;
  return input === undefined ? `a wrong ${origin}` : String(input);
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};
const typeText = (expected: string) => typeNames[expected] ?? expected;

/** Patterns carry what they want as their message; a schema without one shows the pattern. */
function formatText(issue: z.core.$ZodIssueInvalidStringFormat): string {
  return issue.message.startsWith('Invalid') ? `text of the form ${issue.pattern ?? issue.format}` : issue.message;
}

/** Names of the fields that the schema knows at this path, of every branch that leads there. */
function fieldsAt(schema: z.core.$ZodType, path: Path): string[] {
  let found: z.core.$ZodType[] = branches(schema);
  for (const part of path) found = found.flatMap((each) => step(each, part)).flatMap(branches);
  return [...new Set(found.flatMap((each) => Object.keys(shapeOf(each) ?? {})))];
}

function shapeOf(schema: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> | undefined {
  const { def } = schema._zod;
  return def.type === 'object' ? (def as z.core.$ZodObjectDef).shape : undefined;
}

function step(schema: z.core.$ZodType, part: string | number): z.core.$ZodType[] {
  const { def } = schema._zod;
  const inner =
    def.type === 'object'
      ? (def as z.core.$ZodObjectDef).shape[part]
      : def.type === 'record'
        ? (def as z.core.$ZodRecordDef).valueType
        : def.type === 'array'
          ? (def as z.core.$ZodArrayDef).element
          : undefined;
  return inner === undefined ? [] : [inner];
}

/** Takes off what wraps a schema (optional, default …) and spreads unions. */
function branches(schema: z.core.$ZodType): z.core.$ZodType[] {
  const { def } = schema._zod;
  if (def.type === 'union') return (def as z.core.$ZodUnionDef).options.flatMap(branches);
  // Each wrapper of zod (optional, default, prefault, nullable, readonly) names what it wraps alike.
  const { innerType } = def as { innerType?: z.core.$ZodType };
  return innerType === undefined ? [schema] : branches(innerType);
}
