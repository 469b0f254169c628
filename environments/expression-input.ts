import { mostElements } from './expression-cost.ts';

const mostDepth = 32;
const mostNodes = 20_000;
/** A longer text counts as more than one node. */
const textOfNode = 100;
/** A text that an expression looks at; longer ones may stand beside what it looks at. */
const mostText = 4_000;
/** Fields and elements that one evaluation looks at: comparing two large lists takes as many as they hold. */
const mostTouched = 600_000;

const tooLarge = 'the object is too large for an expression';

/**
 * An object as expressions see it: a copy with whole numbers as integers (JSON has one kind of number; Kubernetes means
 * whole ones as integers, and so do people who compare with 3), which lets only so much of itself be looked at.
 * @throws Error `tooLarge`, at once or while it is looked at
 */
export function inputOf(self: unknown): unknown {
  let nodes = 0;
  let touched = 0;
  const touch = (count: number) => {
    touched += count;
    if (touched > mostTouched) throw new Error(tooLarge);
  };
  const guard: ProxyHandler<object> = {
    get: (target, name) => {
      touch(1);
      const value: unknown = Reflect.get(target, name);
      if (typeof value === 'string' && value.length > mostText) throw new Error(tooLarge);
      return value;
    },
    ownKeys: (target) => {
      const keys = Reflect.ownKeys(target);
      touch(keys.length);
      return keys;
    },
  };
  const copy = (value: unknown, depth: number): unknown => {
    nodes += 1 + (typeof value === 'string' ? Math.floor(value.length / textOfNode) : 0);
    if (nodes > mostNodes || depth > mostDepth) throw new Error(tooLarge);
    if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
    if (typeof value !== 'object' || value === null) return value;
    const parts = Object.entries(value);
    if (parts.length > mostElements) throw new Error(tooLarge);
    if (Array.isArray(value))
      return new Proxy(
        value.map((item) => copy(item, depth + 1)),
        guard,
      );
    return new Proxy(Object.fromEntries(parts.map(([name, item]) => [name, copy(item, depth + 1)])), guard);
  };
  return copy(self ?? null, 0);
}
