import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';

/** `.env` of a folder as text, or undefined where there is none. @throws when it is there and cannot be read */
export function readEnvFile(folder: string): string | undefined {
  const file = join(folder, '.env');
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** What the lines of such a file say. */
export interface EnvFile {
  /** The last value of each name. */
  readonly values: ReadonlyMap<string, string>;
  /** Names that are given again with another value. */
  readonly doubled: readonly { readonly name: string; readonly lines: readonly number[] }[];
  /** Lines that say nothing. What they hold is not told: it may be a part of a secret. */
  readonly unreadable: readonly number[];
  /** Names whose value holds `${…}`, which nothing fills in here. */
  readonly unfilled: readonly string[];
}

// A name, and a value in quotes, which may span lines, or up to the end of the line.
const entry = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*("[^"]*"|'[^']*'|`[^`]*`|[^\n]*)[^\n]*$/;

/**
 * Reads the text of a `.env` file as Docker Compose does: a `#` begins a comment only after white space, so that a
 * password may hold one. Quoted values are read by Node's own parser.
 */
export function parseEnvFile(text: string): EnvFile {
  const given = new Map<string, { value: string; line: number }[]>();
  const unreadable: number[] = [];
  const unfilled = new Set<string>();
  for (const { content, line } of statements(text)) {
    const [, name, raw = ''] = entry.exec(content) ?? [];
    if (name === undefined) {
      unreadable.push(line);
      continue;
    }
    const value = textOf(raw);
    if (/\$\{\w+[^}]*\}/.test(value) && !raw.startsWith("'")) unfilled.add(name);
    given.set(name, [...(given.get(name) ?? []), { value, line }]);
  }
  return {
    values: new Map([...given].map(([name, all]) => [name, all.at(-1)?.value ?? ''])),
    doubled: [...given]
      .filter(([, all]) => new Set(all.map(({ value }) => value).filter((value) => value !== '')).size > 1)
      .map(([name, all]) => ({ name, lines: all.map(({ line }) => line) })),
    unreadable,
    unfilled: [...unfilled],
  };
}

const textOf = (raw: string) =>
  /^["'`]/.test(raw) ? (parseEnv(`VALUE=${raw}`).VALUE ?? '') : raw.replace(/(^|\s)#.*$/, '$1').trim();

/** Each statement with the number of its first line; empty lines and comments are left out. */
function* statements(text: string): Generator<{ content: string; line: number }> {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (let index = 0; index < lines.length; index += 1) {
    const line = index + 1;
    let content = lines[index] ?? '';
    if (/^\s*(#|$)/.test(content)) continue;
    const [, quote] = /=[ \t]*(["'`])/.exec(content) ?? [];
    const closes = (each: string, from: number) => quote === undefined || each.indexOf(quote, from) >= 0;
    const end = lines.findIndex((each, at) => at > index && closes(each, 0));
    if (quote !== undefined && !closes(content, content.indexOf(quote) + 1) && end > index) {
      content = lines.slice(index, end + 1).join('\n');
      index = end;
    }
    yield { content, line };
  }
}
