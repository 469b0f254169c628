import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  Lexer,
  LineCounter,
  type Node,
  Parser,
} from 'yaml';
import { type Finding, InvalidInput } from './finding.ts';

/** Where something stands in a file, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A person's file as data, with the way back to the text. */
export interface ParsedYaml {
  readonly value: unknown;
  /** Where the key (in a list: the item) at this path stands; for a missing one, its nearest parent that is there. */
  place(path: readonly (string | number)[]): Position | undefined;
  /** The text of the scalar at this path as it was written (`1.10`, not 1.1), or undefined. */
  source(path: readonly (string | number)[]): string | undefined;
}

export interface YamlLimits {
  readonly bytes: number;
  /** Of collections within collections. */
  readonly depth: number;
  /** Values, counted after aliases are expanded. */
  readonly values: number;
  /** Lexical tokens: a line `key: value` has about seven. Bounds the time that a file of nothing but signs takes. */
  readonly tokens: number;
}

const standardLimits: YamlLimits = { bytes: 256 * 1024, depth: 32, values: 20_000, tokens: 40_000 };
/** More faults of syntax than this tell a person nothing new, and each costs time. */
const mostFaults = 20;

/**
 * Reads one YAML (or JSON) document that a stranger wrote, in bounded time and memory: size and depth are refused
 * before anything recurses, aliases count as what they expand to, and a key that stands twice is a fault.
 * @throws InvalidInput
 */
export function parseYaml(text: string | Uint8Array, file: string, limits: YamlLimits = standardLimits): ParsedYaml {
  const refuse = (message: string, at?: Position) => new InvalidInput([{ file, ...at, path: '', message }]);
  const bytes = typeof text === 'string' ? Buffer.byteLength(text) : text.byteLength;
  if (bytes > limits.bytes) throw refuse(`the file has ${bytes} bytes; the most is ${limits.bytes}`);
  const source = typeof text === 'string' ? text.replace(/^\uFEFF/, '') : decode(text, refuse);
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const tokens = readTokens(source, lines, limits, (message, offset) => refuse(message, at(offset)));
  // Its own search for equal keys takes quadratic time; Conversion looks for them.
  const composer = new Composer({ version: '1.2', schema: 'core', uniqueKeys: false });
  let document: Document.Parsed | undefined;
  for (const next of composer.compose(tokens)) {
    if (document !== undefined) throw refuse('the file holds more than one document; keep one', at(next.range[0]));
    document = next;
  }
  if (document === undefined) throw refuse('the file is empty');
  const findings: Finding[] = [...document.errors, ...document.warnings]
    .slice(0, mostFaults)
    .map((error) => ({ file, ...at(error.pos[0]), path: '', message: describe(error.code, error.message) }));
  if (findings.length > 0) throw new InvalidInput(findings);
  const convert = new Conversion(limits, (message, node) =>
    refuse(message, node.range ? at(node.range[0]) : undefined),
  );
  convert.anchors(document.contents);
  const value = document.contents === null ? null : convert.value(document.contents);
  return {
    value,
    place: (path) => {
      const offset = offsetOf(document.contents, path);
      return offset === undefined ? undefined : at(offset);
    },
    source: (path) => {
      const node = document.getIn(path, true);
      return isScalar(node) && typeof node.source === 'string' ? node.source : undefined;
    },
  };
}

function decode(bytes: Uint8Array, refuse: (message: string) => InvalidInput): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw refuse('the file is not valid UTF-8');
  }
}

/** Tokens of the whole text; stops where the parser's stack says that collections nest too deep, or at too many. */
function readTokens(
  source: string,
  lines: LineCounter,
  limits: YamlLimits,
  refuse: (message: string, offset: number) => InvalidInput,
): CST.Token[] {
  const parser = new Parser(lines.addNewLine);
  const tokens: CST.Token[] = [];
  let count = 0;
  let faults = 0;
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(source)) {
    count += 1;
    for (const token of parser.next(lexeme)) {
      tokens.push(token);
      if (token.type === 'error') faults += 1;
    }
    if (parser.stack.length > limits.depth && depthOf(parser.stack) > limits.depth)
      throw refuse(`collections nest deeper than ${limits.depth} levels`, parser.offset);
    if (count > limits.tokens) throw refuse(`the file has more than ${limits.tokens} tokens`, parser.offset);
    if (faults > mostFaults) throw refuse('this is not YAML', parser.offset);
  }
  for (const token of parser.end()) tokens.push(token);
  return tokens;
}

/** Collections among what the parser has open; the document and the scalar at hand are none. */
const depthOf = (stack: readonly CST.Token[]) =>
  stack.filter(({ type }) => type === 'block-map' || type === 'block-seq' || type === 'flow-collection').length;

function describe(code: string, message: string): string {
  if (code === 'TAG_RESOLVE_FAILED') return `${message}; custom tags are not taken`;
  return `this is not YAML: ${message}`;
}

/** Nodes to plain data, counting what aliases expand to. Depth is bounded by then, so it may recurse. */
class Conversion {
  #values = 0;
  #characters = 0;
  readonly #limits: YamlLimits;
  readonly #refuse: (message: string, node: Node) => InvalidInput;
  readonly #anchors = new Map<string, Node>();
  readonly #open = new Set<Node>();

  constructor(limits: YamlLimits, refuse: (message: string, node: Node) => InvalidInput) {
    this.#limits = limits;
    this.#refuse = refuse;
  }

  anchors(node: unknown): void {
    if (isPair(node)) {
      this.anchors(node.key);
      this.anchors(node.value);
    } else if (isCollection(node) || isScalar(node)) {
      if (node.anchor !== undefined) {
        if (this.#anchors.has(node.anchor)) throw this.#refuse(`anchor &${node.anchor} stands twice`, node);
        this.#anchors.set(node.anchor, node);
      }
      if (isCollection(node)) for (const item of node.items) this.anchors(item);
    }
  }

  value(node: Node): unknown {
    this.#values += 1;
    if (this.#values > this.#limits.values)
      throw this.#refuse(`the file holds more than ${this.#limits.values} values once its aliases are expanded`, node);
    if (isAlias(node)) return this.#alias(node.source, node);
    if (isScalar(node)) return this.#scalar(node.value, node);
    if (this.#open.has(node)) throw this.#refuse('an alias stands inside what it names', node);
    this.#open.add(node);
    const value = isMap(node) ? this.#map(node) : this.#list(node);
    this.#open.delete(node);
    if (this.#open.size > this.#limits.depth) throw this.#refuse('aliases nest too deep', node);
    return value;
  }

  #alias(name: string, node: Node): unknown {
    const target = this.#anchors.get(name);
    if (target === undefined) throw this.#refuse(`there is no anchor &${name}`, node);
    if (this.#open.size > this.#limits.depth) throw this.#refuse('aliases nest too deep', node);
    return this.value(target);
  }

  #scalar(value: unknown, node: Node): unknown {
    if (typeof value === 'string') this.#characters += value.length;
    if (this.#characters > 4 * this.#limits.bytes)
      throw this.#refuse(
        `the file holds more than ${4 * this.#limits.bytes} characters once its aliases are expanded`,
        node,
      );
    if (typeof value === 'number' && !Number.isFinite(value)) throw this.#refuse('a number must be finite', node);
    if (['string', 'number', 'boolean'].includes(typeof value) || value === null) return value;
    throw this.#refuse('only strings, numbers, booleans and null are taken', node);
  }

  #list(node: Node): unknown[] {
    return isCollection(node) ? node.items.map((item) => this.value(item as Node)) : [];
  }

  #map(node: { items: { key: unknown; value: unknown }[] } & Node): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    for (const { key, value } of node.items) {
      if (!isScalar(key)) throw this.#refuse('a key must be plain text', node);
      const text = keyText(key);
      if (text === '__proto__') throw this.#refuse('__proto__ is no key', key as Node);
      if (entries.has(text)) throw this.#refuse(`key ${text} stands twice in its map; keep one of them`, key as Node);
      entries.set(text, value === null ? null : this.value(value as Node));
    }
    return Object.fromEntries(entries);
  }
}

function offsetOf(contents: unknown, path: readonly (string | number)[]): number | undefined {
  let node = contents;
  let offset = isCollection(node) || isScalar(node) ? node.range?.[0] : undefined;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && keyText(key) === String(part));
      if (pair === undefined || !isScalar(pair.key)) return offset;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isCollection(node)) {
      const item = node.items[Number(part)];
      if (!isCollection(item) && !isScalar(item) && !isAlias(item)) return offset;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else {
      return offset;
    }
  }
  return offset;
}

const keyText = (key: { value: unknown; source?: string }) =>
  typeof key.value === 'string' ? key.value : String(key.source ?? key.value);
