import { writeBlockYaml } from './block-yaml.ts';

/**
 * Reads back what `writeBlockYaml` wrote, twenty times as fast as a parser of all YAML. Sure, not trusting: what was
 * read is written again, and where that gives other bytes the answer is undefined, as it is for all other YAML.
 */
export function readBlockYaml(text: string): { readonly value: unknown } | undefined {
  const lines = text.split('\n');
  if (lines.pop() !== '') return undefined;
  const reader: Reader = { lines, at: 0 };
  try {
    const value = readNode(reader, 0);
    return reader.at === lines.length && writeBlockYaml(value) === text ? { value } : undefined;
  } catch (error) {
    if (error instanceof NotOurs || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

interface Reader {
  readonly lines: string[];
  at: number;
}

/** The text is not of the form that the writer gives. */
class NotOurs extends Error {}

/** The writer nests as deep as its data; more than this is nobody's manifest. */
const mostDepth = 100;

const indentOf = (line: string) => {
  let indent = 0;
  while (line.charCodeAt(indent) === 32) indent += 1;
  return indent;
};

function readNode(reader: Reader, indent: number): unknown {
  const line = reader.lines[reader.at];
  if (line === undefined || indent > 2 * mostDepth) throw new NotOurs();
  if (line.charCodeAt(indent) === 45 && (line.length === indent + 1 || line.charCodeAt(indent + 1) === 32))
    return readList(reader, indent);
  if (indent === 0 && keyEnd(line, 0) === -1) return readTop(reader);
  return readMap(reader, indent, {});
}

/** A document that is one scalar. */
function readTop(reader: Reader): unknown {
  const line = reader.lines[reader.at] ?? '';
  reader.at += 1;
  return readScalar(reader, line, 2);
}

function readList(reader: Reader, indent: number): unknown[] {
  const items: unknown[] = [];
  for (;;) {
    const line = reader.lines[reader.at];
    if (line === undefined || indentOf(line) !== indent || line.charCodeAt(indent) !== 45) return items;
    if (line.length === indent + 1) {
      reader.at += 1;
      items.push(readNode(reader, indent + 2));
    } else if (line.charCodeAt(indent + 1) !== 32) {
      return items;
    } else {
      items.push(readItem(reader, line, indent + 2));
    }
  }
}

/** What stands beside a dash: a scalar, or the first key of a map. */
function readItem(reader: Reader, line: string, start: number): unknown {
  if (keyEnd(line, start) !== -1) return readMap(reader, start, {}, line);
  reader.at += 1;
  return readScalar(reader, line.slice(start), start);
}

function readMap(
  reader: Reader,
  indent: number,
  map: Record<string, unknown>,
  first?: string,
): Record<string, unknown> {
  for (let line = first ?? reader.lines[reader.at]; line !== undefined; line = reader.lines[reader.at]) {
    if (line !== first && indentOf(line) !== indent) return map;
    const end = keyEnd(line, indent);
    if (end === -1) return map;
    const raw = line.slice(indent, end);
    const key = raw.charCodeAt(0) === 34 ? String(JSON.parse(raw)) : raw;
    reader.at += 1;
    const value =
      line.length === end + 1 ? readNode(reader, indent + 2) : readScalar(reader, line.slice(end + 2), indent + 2);
    if (key === '__proto__') throw new NotOurs();
    map[key] = value;
    first = undefined;
  }
  return map;
}

/** Where the colon of `key:` or `key: …` stands, or -1 where the line holds no key. */
function keyEnd(line: string, start: number): number {
  let at = start;
  if (line.charCodeAt(start) === 34) {
    at = start + 1;
    while (at < line.length && line.charCodeAt(at) !== 34) at += line.charCodeAt(at) === 92 ? 2 : 1;
    at += 1;
    return line.charCodeAt(at) === 58 && (line.length === at + 1 || line.charCodeAt(at + 1) === 32) ? at : -1;
  }
  for (at = line.indexOf(':', start); at !== -1; at = line.indexOf(':', at + 1))
    if (line.length === at + 1 || line.charCodeAt(at + 1) === 32) return at;
  return -1;
}

function readScalar(reader: Reader, text: string, indent: number): unknown {
  switch (text) {
    case '|':
    case '|-':
      return readText(reader, indent) + (text === '|' ? '\n' : '');
    case '{}':
      return {};
    case '[]':
      return [];
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
  }
  if (text.charCodeAt(0) === 34 || /^-?\d+(\.\d+)?(e[-+]?\d+)?$/.test(text)) return JSON.parse(text);
  return text;
}

function readText(reader: Reader, indent: number): string {
  const lines: string[] = [];
  for (let line = reader.lines[reader.at]; line !== undefined; line = reader.lines[reader.at]) {
    if (line !== '' && indentOf(line) < indent) break;
    lines.push(line.slice(indent));
    reader.at += 1;
  }
  return lines.join('\n');
}
