import { type HelperName, helperNames } from './template-functions.ts';

/**
 * The part of the Handlebars language that mapping expressions use, and nothing of its engine: no code is made, no
 * prototype can be reached, and length and depth are bounded.
 *
 *     {{#includes groups "admins"}}true{{/includes}}     {{#each roles}}{{this.name}},{{/each}}
 *     {{#if (and (equals dept "IT") (exists title))}}true{{else}}{{/if}}     {{{json (pluck (json roles) "name")}}}
 *
 * Not part of it: partials, decorators, named arguments, block parameters, user-made functions.
 */
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly value: Expression }
  | {
      readonly kind: 'block';
      readonly name: BlockName;
      readonly args: readonly Expression[];
      readonly then: Nodes;
      readonly otherwise: Nodes;
    };
export type Nodes = readonly Node[];

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null | undefined }
  /** `up` contexts above the present one, or `@` for a value of the loop or the root. */
  | {
      readonly kind: 'path';
      readonly up: number;
      readonly at?: '@root' | '@index' | '@key' | '@first' | '@last';
      readonly keys: readonly string[];
    }
  | { readonly kind: 'call'; readonly name: HelperName; readonly args: readonly Expression[] };

const controls = ['if', 'unless', 'each', 'with'] as const;
export type BlockName = (typeof controls)[number] | HelperName;

const mostLength = 2000;
const mostDepth = 16;

/** What is wrong with a template, for the person who wrote it. */
export class TemplateError extends Error {}

/** @throws TemplateError */
export function parseTemplate(text: string): Nodes {
  if (text.length > mostLength) throw new TemplateError(`it is longer than ${mostLength} characters`);
  const reader = new Reader(tagsOf(text));
  const nodes = reader.nodes(0);
  const rest = reader.next();
  if (rest !== undefined) throw new TemplateError(`{{${rest.kind === 'tag' ? rest.inner : rest.text}}} closes nothing`);
  return nodes;
}

type Piece = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'tag'; readonly inner: string };

/** Text and tags in turn; `{{{…}}}` is `{{…}}`, as nothing is escaped here, and `~` takes the white space beside it. */
function tagsOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let rest = text;
  for (;;) {
    const start = rest.indexOf('{{');
    if (start < 0) break;
    pieces.push({ kind: 'text', text: rest.slice(0, start) });
    const triple = rest.startsWith('{{{', start);
    const end = endOfTag(rest, start, triple ? '}}}' : '}}');
    pieces.push({ kind: 'tag', inner: rest.slice(start + (triple ? 3 : 2), end) });
    rest = rest.slice(end + (triple ? 3 : 2));
  }
  pieces.push({ kind: 'text', text: rest });
  return trimmed(pieces).filter((piece) => (piece.kind === 'tag' ? !piece.inner.startsWith('!') : piece.text !== ''));
}

/** Braces within quotes are text. */
function endOfTag(text: string, start: number, close: string): number {
  let quote = '';
  for (let at = start + close.length; at < text.length; at++) {
    const character = text.charAt(at);
    if (quote !== '') quote = character === quote ? '' : quote;
    else if (character === '"' || character === "'") quote = character;
    else if (text.startsWith(close, at)) return at;
  }
  throw new TemplateError(`${JSON.stringify(text.slice(start, start + 40))} is not closed by ${close}`);
}

function trimmed(pieces: readonly Piece[]): Piece[] {
  return pieces.map((piece, index) => {
    if (piece.kind === 'tag') return { kind: 'tag', inner: piece.inner.replace(/^~/, '').replace(/~$/, '').trim() };
    const [before, after] = [pieces[index - 1], pieces[index + 1]];
    let { text } = piece;
    if (before?.kind === 'tag' && before.inner.endsWith('~')) text = text.trimStart();
    if (after?.kind === 'tag' && after.inner.startsWith('~')) text = text.trimEnd();
    return { kind: 'text', text };
  });
}

class Reader {
  #at = 0;
  readonly #pieces: readonly Piece[];

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  next(): Piece | undefined {
    return this.#pieces[this.#at++];
  }

  /** Nodes up to `{{else…}}`, `{{/…}}` or the end, which are left to be read. */
  nodes(depth: number): Nodes {
    if (depth > mostDepth) throw new TemplateError(`it is nested deeper than ${mostDepth} levels`);
    const nodes: Node[] = [];
    for (;;) {
      const piece = this.#pieces[this.#at];
      if (piece === undefined || (piece.kind === 'tag' && /^(\/|else\b|\^$)/.test(piece.inner))) return nodes;
      this.#at += 1;
      nodes.push(piece.kind === 'text' ? piece : this.#tag(piece.inner, depth));
    }
  }

  #tag(inner: string, depth: number): Node {
    if (/^[>*&^]/.test(inner)) throw new TemplateError(`{{${inner}}} is not part of the language`);
    if (!inner.startsWith('#')) return { kind: 'output', value: parseExpression(inner) };
    return this.#block(inner.slice(1).trim(), depth);
  }

  #block(opening: string, depth: number): Node {
    const { name, args } = openingOf(opening);
    const then = this.nodes(depth + 1);
    const closing = this.next();
    const end = closing?.kind === 'tag' ? closing.inner : undefined;
    if (end === `/${name}`) return { kind: 'block', name, args, then, otherwise: [] };
    // {{else if …}} is a block of its own that shares the closing tag.
    const chained = /^else\s+(\S.*)$/s.exec(end ?? '')?.[1];
    if (chained !== undefined)
      return { kind: 'block', name, args, then, otherwise: [this.#chained(chained, name, depth)] };
    if (end !== 'else' && end !== '^') throw new TemplateError(`{{#${opening}}} is not closed by {{/${name}}}`);
    const otherwise = this.nodes(depth + 1);
    this.#close(name, opening);
    return { kind: 'block', name, args, then, otherwise };
  }

  #chained(opening: string, outer: string, depth: number): Node {
    const { name, args } = openingOf(opening);
    const then = this.nodes(depth + 1);
    const piece = this.#pieces[this.#at];
    const end = piece?.kind === 'tag' ? piece.inner : '';
    if (end === `/${outer}`) {
      this.#at += 1;
      return { kind: 'block', name, args, then, otherwise: [] };
    }
    this.#at += 1;
    const chained = /^else\s+(\S.*)$/s.exec(end)?.[1];
    if (chained !== undefined && depth < mostDepth)
      return { kind: 'block', name, args, then, otherwise: [this.#chained(chained, outer, depth + 1)] };
    if (end !== 'else' && end !== '^') throw new TemplateError(`{{else ${opening}}} is not closed by {{/${outer}}}`);
    const otherwise = this.nodes(depth + 1);
    this.#close(outer, opening);
    return { kind: 'block', name, args, then, otherwise };
  }

  #close(name: string, opening: string): void {
    const piece = this.next();
    if (piece?.kind !== 'tag' || piece.inner !== `/${name}`)
      throw new TemplateError(`{{#${opening}}} is not closed by {{/${name}}}`);
  }
}

function openingOf(opening: string): { name: BlockName; args: readonly Expression[] } {
  const tokens = tokensOf(opening);
  const name = tokens.shift() ?? '';
  const known = [...controls, ...helperNames].find((each) => each === name);
  if (known === undefined)
    throw new TemplateError(`{{#${name}}} is not known; there are ${[...controls, ...helperNames].join(', ')}`);
  const args = argumentsOf(tokens, 0);
  if (controls.some((each) => each === name) && args.length !== 1)
    throw new TemplateError(`{{#${name}}} takes one value, not ${args.length}`);
  return { name: known, args };
}

function parseExpression(text: string): Expression {
  const tokens = tokensOf(text);
  if (tokens.length === 0) throw new TemplateError('{{}} is empty');
  return tokens.length === 1 && tokens[0] !== '(' ? single(tokens[0] ?? '') : call(tokens, 0);
}

/** A string, a parenthesis, or what stands between white space; `[…]` holds any character. */
const token = /\s*("[^"]*"|'[^']*'|\(|\)|(?:\[[^\]]*\]|[^\s()"'=|[\]])+)/y;

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  token.lastIndex = 0;
  const end = text.trimEnd().length;
  while (token.lastIndex < end) {
    const at = token.lastIndex;
    const found = token.exec(text)?.[1];
    if (found === undefined) throw new TemplateError(`${JSON.stringify(text.slice(at, at + 40))} cannot be read`);
    tokens.push(found);
  }
  return tokens;
}

function call(tokens: string[], depth: number): Expression {
  if (tokens[0] === '(') {
    const [only, ...more] = argumentsOf(tokens, depth);
    if (only === undefined || more.length > 0) throw new TemplateError('a function is wanted after {{');
    return only;
  }
  const name = helperNames.find((each) => each === tokens[0]);
  if (name === undefined) throw new TemplateError(`${tokens[0]} is no function; there are ${helperNames.join(', ')}`);
  tokens.shift();
  return { kind: 'call', name, args: argumentsOf(tokens, depth) };
}

function argumentsOf(tokens: string[], depth: number): Expression[] {
  if (depth > mostDepth) throw new TemplateError(`it is nested deeper than ${mostDepth} levels`);
  const args: Expression[] = [];
  for (;;) {
    const next = tokens.shift();
    if (next === undefined) return args;
    if (next === ')') throw new TemplateError('a ) has no (');
    args.push(next === '(' ? call(insideOf(tokens), depth + 1) : single(next));
  }
}

/** Takes the tokens up to the parenthesis that closes. */
function insideOf(tokens: string[]): string[] {
  let open = 1;
  const end = tokens.findIndex((each) => {
    if (each === '(') open += 1;
    if (each === ')') open -= 1;
    return open === 0;
  });
  if (end < 0) throw new TemplateError('a ( is not closed');
  const inside = tokens.splice(0, end + 1).slice(0, -1);
  if (inside.length === 0) throw new TemplateError('() is empty');
  return inside;
}

const words: ReadonlyMap<string, boolean | null | undefined> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
  ['undefined', undefined],
]);

function single(text: string): Expression {
  if (/^["']/.test(text)) return { kind: 'literal', value: text.slice(1, -1) };
  if (/^-?\d+(\.\d+)?$/.test(text)) return { kind: 'literal', value: Number(text) };
  if (words.has(text)) return { kind: 'literal', value: words.get(text) };
  return pathOf(text);
}

function pathOf(text: string): Expression {
  let rest = text;
  let up = 0;
  for (; rest.startsWith('../'); up++) rest = rest.slice(3);
  if (rest === '..') return { kind: 'path', up: up + 1, keys: [] };
  rest = rest.replace(/^(\.\/|this[./])/, '');
  const [, at, after] = /^(@(?:root|index|key|first|last))(?:[./](.*))?$/s.exec(rest) ?? [];
  if (at !== undefined)
    return { kind: 'path', up, at: at as '@root', keys: after === undefined ? [] : keysOf(after, text) };
  return { kind: 'path', up, keys: rest === 'this' || rest === '.' ? [] : keysOf(rest, text) };
}

function keysOf(path: string, whole: string): string[] {
  const keys = [...path.matchAll(/(?:^|[./])(?:\[([^\]]*)\]|([\p{L}\p{N}_$:-]+))/gsu)];
  if (keys.length === 0 || keys.map(([piece]) => piece).join('') !== path)
    throw new TemplateError(`${JSON.stringify(whole)} is no path; write unusual names in brackets: [${path}]`);
  return keys.map(([, bracketed, plain]) => bracketed ?? plain ?? '');
}
