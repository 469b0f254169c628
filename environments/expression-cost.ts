import type { ASTNode } from '@marcbachmann/cel-js';

/** The longest list and the widest map that an expression may look at: over more than that no macro goes. */
export const mostElements = 200;
/** Steps that evaluating one expression takes at the most: some tens of milliseconds. */
export const mostCost = 1_000_000;
const mostNested = 2;
const mostMaps = 2;

const macros = new Set(['all', 'exists', 'exists_one', 'filter', 'map']);

/**
 * What each function costs, beside its arguments. Those that read a whole text cost as much as a long one. What is not
 * here is refused: regular expressions never end when they want to, and others make long values of short ones.
 */
const functions: Readonly<Record<string, number>> = {
  ...{ has: 1, bool: 1, dyn: 1, int: 1, uint: 1, type: 1 },
  ...{ startsWith: 5, endsWith: 5 },
  ...{ contains: 200, double: 200, indexOf: 200, lastIndexOf: 200, lowerAscii: 200, size: 200, string: 200 },
  ...{ substring: 200, trim: 200, upperAscii: 200 },
};
const costOfPlus = 20;

/**
 * Steps that evaluating takes at the most, whatever the object: every list counts as long as one may be.
 * @throws Error for what may take longer than anybody waits, saying what it is
 */
export function costOf(root: ASTNode): number {
  if (countMaps(root) > mostMaps) throw new Error(`it holds more than ${mostMaps} map`);
  const cost = stepsOf(root, 0);
  if (cost > mostCost) throw new Error(`it may take ${cost} steps; the most is ${mostCost}`);
  return cost;
}

function stepsOf(node: ASTNode, nested: number): number {
  const macro = macroOf(node);
  if (macro !== undefined) {
    const { name, over, bodies } = macro;
    if (nested >= mostNested) throw new Error(`${name} stands within ${mostNested} others; more are not taken`);
    if (mayGrow(over)) throw new Error(`${name} goes over a sum; go over each of its parts`);
    if (name === 'map' && bodies.some(mayGrow)) throw new Error('map makes sums; these are not taken there');
    const each = bodies.reduce((sum, body) => sum + stepsOf(body, nested + 1), 1);
    return stepsOf(over, nested) + mostElements * each;
  }
  return ownSteps(node) + childrenOf(node).reduce((sum, child) => sum + stepsOf(child, nested), 0);
}

function ownSteps(node: ASTNode): number {
  if (node.op === '+') return costOfPlus;
  if (node.op !== 'call' && node.op !== 'rcall') return 1;
  const name = node.args[0];
  const steps = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (steps === undefined) throw new Error(`${name}() is not taken here`);
  return steps;
}

/** A call that evaluates its last arguments once for every element. */
function macroOf(node: ASTNode) {
  if (node.op !== 'rcall' || !macros.has(node.args[0])) return undefined;
  const [name, over, [, ...bodies]] = node.args;
  return { name, over, bodies };
}

/** Whether a value may come out larger than what the object holds: lists and texts grow by sums alone. */
function mayGrow(node: ASTNode): boolean {
  if (node.op === '+') return true;
  const macro = macroOf(node);
  return macro === undefined ? childrenOf(node).some(mayGrow) : mayGrow(macro.over);
}

function countMaps(node: ASTNode): number {
  const own = macroOf(node)?.name === 'map' ? 1 : 0;
  return childrenOf(node).reduce((sum, child) => sum + countMaps(child), own);
}

/** The expressions that a node is made of, however the library keeps them for each operator. */
function childrenOf(node: ASTNode): readonly ASTNode[] {
  const found: ASTNode[] = [];
  const take = (part: unknown): void => {
    if (Array.isArray(part)) part.forEach(take);
    else if (isNode(part)) found.push(part);
  };
  take(node.args);
  return found;
}

const isNode = (part: unknown): part is ASTNode =>
  typeof part === 'object' && part !== null && 'op' in part && 'args' in part;
