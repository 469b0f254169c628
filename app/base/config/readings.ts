import { Secret } from '../secret.ts';
import { type EnvFile, parseEnvFile } from './env-file.ts';
import { type Notice, type Origin, withoutCredentials } from './report.ts';
import type { Findings, Setting } from './setting.ts';

/** Environment variables of a process. */
export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

/** Where settings come from. For each setting the process environment beats the file, whichever alias is used. */
export interface Sources {
  readonly env: EnvironmentVariables;
  /** The text of `.env`. */
  readonly envFile?: string | undefined;
}

/** The value of one setting, and where it came from. A setting that is at fault has its default. */
export interface ReadSetting {
  readonly value: unknown;
  readonly origin: Origin;
  readonly givenAs: string | undefined;
  readonly text: string | undefined;
}

/** Reads settings one after the other, and gathers all that is to say about them. */
export interface Readings extends Findings {
  readonly file: EnvFile;
  readonly faults: readonly string[];
  readonly notices: readonly Notice[];
  read(field: string, row: Setting<unknown>): ReadSetting;
}

interface Given {
  readonly name: string;
  readonly text: string;
}

/** @param isProduction the row of NODE_ENV, which says how strictly the others are read */
export function openReadings({ env, envFile }: Sources, isProduction: Setting<boolean>): Readings {
  const file = parseEnvFile(envFile ?? '');
  const ofProcess = (name: string) => env[name] || undefined;
  const ofFile = (name: string) => file.values.get(name) || undefined;
  const production = isProduction.parse(ofProcess('NODE_ENV') ?? ofFile('NODE_ENV'));
  const faults: string[] = [];
  const notices: Notice[] = [];
  const failed = new Set<string>();
  const findings: Findings = {
    production,
    fault: (fields, text) => {
      if (!fields.some((field) => failed.has(field))) faults.push(text);
    },
    warn: (text) => notices.push({ level: 'warning', text }),
    info: (text) => notices.push({ level: 'info', text }),
  };
  const read = (field: string, row: Setting<unknown>): ReadSetting => {
    const inProcess = givenIn(ofProcess, row, findings);
    const inFile = givenIn(ofFile, row, findings);
    const given = inProcess.length > 0 ? inProcess : inFile;
    const [first] = given;
    if (first === undefined)
      return { value: row.parse(undefined), origin: 'default', givenAs: undefined, text: undefined };
    if (inProcess.length > 0) sayOverridden(first, inFile, findings);
    if (row.order !== undefined) sayOrder(given, findings);
    const { value, faults: found } = readTexts(row, row.order === undefined ? given : [first], findings);
    if (found.length > 0) failed.add(field);
    faults.push(...found);
    const origin = inProcess.length > 0 ? 'process environment' : '.env';
    return { value, origin, givenAs: first.name, text: first.text };
  };
  return { ...findings, file, faults, notices, read };
}

/** Under which of its names a setting is given in one source, without those that were set for somebody else. */
function givenIn(
  lookUp: (name: string) => string | undefined,
  row: Setting<unknown>,
  findings: Findings,
): readonly Given[] {
  return (row.order ?? row.names).flatMap((name) => {
    const text = lookUp(name);
    if (text === undefined) return [];
    const reason = row.ignores?.(text, name);
    if (reason !== undefined) findings.info(`${name} does not count: ${reason}.`);
    return reason === undefined ? [{ name, text }] : [];
  });
}

function sayOverridden(first: Given, inFile: readonly Given[], findings: Findings): void {
  const others = inFile.filter(({ text }) => text !== first.text).map(({ name }) => name);
  if (others.length > 0)
    findings.info(`${first.name} of the process environment counts, not ${others.join(' or ')} of .env.`);
}

function sayOrder([first, ...others]: readonly Given[], findings: Findings): void {
  const different = others.filter(({ text }) => text !== first?.text).map(({ name }) => name);
  if (first !== undefined && different.length > 0)
    findings.info(`${first.name} counts, not ${different.join(' or ')}.`);
}

/** The value that the texts of all names agree on, or every reason why there is none. */
function readTexts(
  row: Setting<unknown>,
  given: readonly Given[],
  findings: Findings,
): { readonly value: unknown; readonly faults: readonly string[] } {
  const values = new Map<string, unknown>();
  const faults: string[] = [];
  const warnings = new Map<string, string>();
  for (const { name, text } of given) {
    try {
      const warn = (warning: string) => void (warnings.has(warning) || warnings.set(warning, name));
      const value = row.parse(text, { production: findings.production, warn });
      values.set(meaningOf(value), value);
    } catch (error) {
      faults.push(`${name} is ${cameText(row, text)}; wanted is ${(error as Error).message}`);
    }
  }
  for (const [warning, name] of warnings) findings.warn(`${name} ${warning}.`);
  const names = given.map(({ name }) => name).join(' and ');
  if (values.size > 1) faults.push(`${names} are the same setting with different values; keep one of them`);
  const [value] = values.values();
  return { value: faults.length > 0 ? row.parse(undefined) : value, faults };
}

const longestShown = 120;

function cameText(row: Setting<unknown>, text: string): string {
  if (row.secret) return 'a value';
  const shown = withoutCredentials(text);
  return JSON.stringify(shown.length > longestShown ? `${shown.slice(0, longestShown)}…` : shown);
}

/** The same text for values that mean the same; of secrets too, so it is only compared. */
function meaningOf(value: unknown): string {
  const plain = (part: unknown): unknown => (part instanceof Secret ? ['secret', part.reveal()] : part);
  return JSON.stringify(plain(value)) ?? 'undefined';
}
