import { callHelper, isTrue, propertyOf } from './template-functions.ts';
import { type Expression, type Node, type Nodes, parseTemplate, TemplateError } from './template-parse.ts';

/** A checked expression: claims → text. White space around the text is cut. */
export type Template = (claims: unknown) => string;

const mostSteps = 10_000;
const mostOutput = 65_536;

/** Where the evaluation stands: the value that names are looked up in, what is above it, and the loop around it. */
interface Frame {
  readonly value: unknown;
  readonly above?: Frame | undefined;
  readonly loop?: {
    readonly '@index': number;
    readonly '@key': string | number;
    readonly '@first': boolean;
    readonly '@last': boolean;
  };
}

/**
 * Claims never run as code, and a template that would run long is ended: it then gives the empty text, which matches
 * nothing.
 *
 * @throws TemplateError that says what is wrong with the text
 */
export function compileTemplate(text: string): Template {
  const nodes = parseTemplate(text);
  return (claims) => {
    try {
      return new Run(claims).print(nodes).trim();
    } catch (error) {
      if (error instanceof TemplateError) return '';
      throw error;
    }
  };
}

class Run {
  #steps = 0;
  #printed = 0;
  readonly #root: unknown;

  constructor(root: unknown) {
    this.#root = root;
  }

  print(nodes: Nodes, frame: Frame = { value: this.#root }): string {
    return nodes.map((node) => this.#node(node, frame)).join('');
  }

  #node(node: Node, frame: Frame): string {
    this.#steps += 1;
    if (this.#steps > mostSteps) throw new TemplateError('it takes too many steps');
    if (node.kind === 'block') return this.#block(node, frame);
    const text = node.kind === 'text' ? node.text : printed(this.#value(node.value, frame));
    this.#printed += text.length;
    if (this.#printed > mostOutput) throw new TemplateError('it prints too much');
    return text;
  }

  #block({ name, args, then, otherwise }: Extract<Node, { kind: 'block' }>, frame: Frame): string {
    const values = args.map((each) => this.#value(each, frame));
    const [value] = values;
    if (name === 'each') return this.#each(value, then, otherwise, frame);
    if (name === 'with')
      return isTrue(value) ? this.print(then, { value, above: frame }) : this.print(otherwise, frame);
    const isMet = name === 'if' ? isTrue(value) : name === 'unless' ? !isTrue(value) : isTrue(callHelper(name, values));
    return this.print(isMet ? then : otherwise, frame);
  }

  #each(value: unknown, then: Nodes, otherwise: Nodes, frame: Frame): string {
    const isObject = typeof value === 'object' && value !== null;
    const items: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
      ? value.map((item, index) => [index, item])
      : isObject
        ? Object.entries(value)
        : [];
    if (items.length === 0) return this.print(otherwise, frame);
    return items
      .map(([key, item], index) => {
        const loop = { '@index': index, '@key': key, '@first': index === 0, '@last': index === items.length - 1 };
        return this.print(then, { value: item, above: frame, loop });
      })
      .join('');
  }

  #value(expression: Expression, frame: Frame): unknown {
    this.#steps += 1;
    if (this.#steps > mostSteps) throw new TemplateError('it takes too many steps');
    if (expression.kind === 'literal') return expression.value;
    if (expression.kind === 'call')
      return callHelper(
        expression.name,
        expression.args.map((each) => this.#value(each, frame)),
      );
    let at: Frame | undefined = frame;
    for (let up = expression.up; up > 0; up--) at = at?.above;
    const start = this.#start(expression.at, at);
    return expression.keys.reduce<unknown>(propertyOf, start);
  }

  #start(at: Extract<Expression, { kind: 'path' }>['at'], frame: Frame | undefined): unknown {
    if (at === undefined) return frame?.value;
    if (at === '@root') return this.#root;
    let here = frame;
    while (here !== undefined && here.loop === undefined) here = here.above;
    return here?.loop?.[at];
  }
}

/** A condition that does not hold prints nothing, so that `{{includes groups "admins"}}` can stand alone. */
function printed(value: unknown): string {
  if (value === undefined || value === null || value === false) return '';
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}
