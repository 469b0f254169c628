import { Environment } from '@marcbachmann/cel-js';
import { costOf, mostElements } from './expression-cost.ts';
import { inputOf } from './expression-input.ts';

/** What a checked expression gives for a live object: a value, or why there is none (a field is not there yet). */
export type Evaluated = { readonly value: unknown } | { readonly error: string };

export interface Expression {
  /** `bool`, `string`, or `dyn` where only the object can tell. */
  readonly type: string;
  /** Steps that evaluating it takes at the most. */
  readonly cost: number;
  /** Total: never throws. Texts are cut after 500 characters. */
  evaluate(self: unknown): Evaluated;
}

const limits = { maxAstNodes: 500, maxDepth: 50, maxListElements: mostElements, maxMapEntries: mostElements };
const mostText = 500;
const language = new Environment({ unlistedVariablesAreDyn: false, limits }).registerVariable('self', 'dyn');

/**
 * An expression of CEL over `self`. CEL has no loops but those over lists of the object, and no effects: it always ends.
 * It ends soon, too: what may take many steps is refused here, and a large object when it is evaluated, since everybody
 * waits for it.
 * @throws Error whose message says what is wrong with the text
 */
export function parseExpression(text: string): Expression {
  const checked = language.check(text);
  if (!checked.valid || checked.type === undefined)
    throw new Error(firstLine(checked.error?.message ?? 'it cannot be read'));
  const run = language.parse(text);
  const cost = costOf(run.ast);
  return {
    type: String(checked.type),
    cost,
    evaluate: (self) => {
      try {
        const value: unknown = run({ self: inputOf(self) });
        return { value: typeof value === 'string' ? value.slice(0, mostText) : value };
      } catch (error) {
        return { error: firstLine((error as Error).message) };
      }
    },
  };
}

/** Why a text is no expression of this type, or undefined. */
export function expressionFault(text: string, type: 'bool' | 'string'): string | undefined {
  try {
    const found = parseExpression(text).type;
    return found === type || found === 'dyn' ? undefined : `gives ${found}; wanted is ${type}`;
  } catch (error) {
    return `is no expression of CEL over \`self\`: ${(error as Error).message}`;
  }
}

const firstLine = (message: string) => message.split('\n')[0] ?? '';
