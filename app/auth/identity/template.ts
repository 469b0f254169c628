import { Fault } from '#base/errors.ts';
import { callHelper, isTrue, propertyOf } from './template-functions.ts';
import { type Expression, type Node, type Nodes, parseTemplate } from './template-parse.ts';
import { mostSteps, Work } from './work.ts';

/**
 * A checked expression: claims → text. White space around the text is cut. What it costs is charged to `work`, which
 * the rules of a mapping share.
 *
 * Faults: IDENTITY_MAPPING_TOO_COSTLY | IDENTITY_CLAIMS_TOO_LARGE
 */
export type Template = (claims: unknown, work?: Work) => string;

/** Characters of one template. */
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
 * Claims never run as code. A template that would run or print long is ended by a fault: nothing is concluded from half
 * of it.
 *
 * @throws TemplateError that says what is wrong with the text
 */
export function compileTemplate(text: string): Template {
  const nodes = parseTemplate(text);
  return (claims, work = new Work()) => new Run(claims, work).print(nodes).trim();
}

class Run {
  #printed = 0;
  readonly #root: unknown;
  readonly #work: Work;

  constructor(root: unknown, work: Work) {
    this.#root = root;
    this.#work = work;
  }

  print(nodes: Nodes, frame: Frame = { value: this.#root }): string {
    return nodes.map((node) => this.#node(node, frame)).join('');
  }

  #node(node: Node, frame: Frame): string {
    this.#work.spend(1);
    if (node.kind === 'block') return this.#block(node, frame);
    const text = node.kind === 'text' ? node.text : this.#text(this.#value(node.value, frame));
    this.#work.read(text);
    this.#printed += text.length;
    if (this.#printed > mostOutput) throw new Fault('IDENTITY_MAPPING_TOO_COSTLY', { steps: mostSteps });
    return text;
  }

  #block({ name, args, then, otherwise }: Extract<Node, { kind: 'block' }>, frame: Frame): string {
    const values = args.map((each) => this.#value(each, frame));
    const [value] = values;
    if (name === 'each') return this.#each(value, then, otherwise, frame);
    if (name === 'with')
      return isTrue(value) ? this.print(then, { value, above: frame }) : this.print(otherwise, frame);
    const isMet =
      name === 'if' ? isTrue(value) : name === 'unless' ? !isTrue(value) : isTrue(callHelper(this.#work, name, values));
    return this.print(isMet ? then : otherwise, frame);
  }

  #each(value: unknown, then: Nodes, otherwise: Nodes, frame: Frame): string {
    const isObject = typeof value === 'object' && value !== null;
    const items: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
      ? value.map((item, index) => [index, item])
      : isObject
        ? Object.entries(value)
        : [];
    // The items of an object are found by their names, which takes longer.
    this.#work.spend(items.length * (Array.isArray(value) ? 1 : 3));
    if (items.length === 0) return this.print(otherwise, frame);
    return items
      .map(([key, item], index) => {
        const loop = { '@index': index, '@key': key, '@first': index === 0, '@last': index === items.length - 1 };
        return this.print(then, { value: item, above: frame, loop });
      })
      .join('');
  }

  #value(expression: Expression, frame: Frame): unknown {
    this.#work.spend(1);
    if (expression.kind === 'literal') return expression.value;
    if (expression.kind === 'call')
      return callHelper(
        this.#work,
        expression.name,
        expression.args.map((each) => this.#value(each, frame)),
      );
    this.#work.spend(expression.up + expression.keys.length);
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

  /** A condition that does not hold prints nothing, so that `{{includes groups "admins"}}` can stand alone. */
  #text(value: unknown): string {
    if (value === undefined || value === null || value === false) return '';
    if (typeof value === 'object') return this.#work.stringify(value);
    return String(value);
  }
}
