import { type ProjectAddress, scopesOf } from './scope.ts';
import type { Secrets } from './secrets.ts';

/** Takes secret values out of a text. */
export type Mask = (text: string) => string;

const masked = '[secret]';
/** Shorter values are words that stand everywhere; masking them would tell more than they hold. */
const shortest = 4;
/** A line of a longer value, such as a key in PEM, is a secret too. */
const shortestLine = 12;

/**
 * Makes what takes every secret out that a project may use, as it is and as it is written in JSON, in URLs and in
 * base64: for texts that leave Plinth and that others had a hand in.
 * @throws Fault SECRETS_UNAVAILABLE, SECRET_UNREADABLE: then nobody can say what is secret, and the text must stay
 */
export async function maskFor(secrets: Pick<Secrets, 'list' | 'resolve'>, project: ProjectAddress): Promise<Mask> {
  const scopes = scopesOf(project);
  const names = new Set<string>();
  for (const scope of scopes) for (const { name } of await secrets.list(scope)) names.add(name);
  if (names.size === 0) return (text) => text;
  const values = await secrets.resolve(project, [...names]);
  return maskOf([...values.values()].map(({ value }) => value.reveal()));
}

/** The same for given values. */
export function maskOf(values: readonly string[]): Mask {
  const forms = [...new Set(values.flatMap(formsOf))].sort((a, b) => b.length - a.length);
  if (forms.length === 0) return (text) => text;
  // The longest first: what is part of another is masked with it.
  const any = new RegExp(forms.map(literal).join('|'), 'g');
  return (text) => text.replace(any, masked);
}

function formsOf(value: string): readonly string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  const plain = [value, value.trim(), ...lines.filter((line) => lines.length > 1 && line.length >= shortestLine)];
  const base64 = Buffer.from(value).toString('base64');
  const written = plain.flatMap((text) => [
    text,
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text.toWellFormed()),
  ]);
  return [...written, base64, base64.replace(/=+$/, '')].filter((form) => form.length >= shortest);
}

const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
