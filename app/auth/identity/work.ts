import { Fault } from '#base/errors.ts';
import { mostClaimBytes, mostClaimDepth, mostClaimValues } from '#contract/identity.ts';
import { foldText } from './fold.ts';

/** Of all templates of one evaluation together: at the very worst, some tenths of a second. */
export const mostSteps = 1_000_000;
/** So many characters are read in the time of one step. */
const charactersPerStep = 16;
/** A part of so many characters is looked for at the cost of reading; a longer one may be compared again and again. */
const charactersOfPart = 32;

/** A list as it is compared: each text folded. */
export interface FoldedList {
  readonly values: ReadonlySet<unknown>;
  readonly texts: readonly string[];
  readonly characters: number;
}

/**
 * What one evaluation of a mapping may cost, over all of its rules. A step is an element or 16 characters of what is
 * looked at, or a node of a template; each is charged before it is taken.
 */
export class Work {
  #spent = 0;
  readonly #folded = new WeakMap<readonly unknown[], FoldedList>();

  get spent(): number {
    return this.#spent;
  }

  /** @throws Fault IDENTITY_MAPPING_TOO_COSTLY */
  spend(steps: number): void {
    if (this.#spent + steps > mostSteps) throw new Fault('IDENTITY_MAPPING_TOO_COSTLY', { steps: mostSteps });
    this.#spent += steps;
  }

  /** Reading a text. */
  read(text: string): void {
    this.spend(1 + Math.ceil(text.length / charactersPerStep));
  }

  /** Looking for a part in texts. */
  search(characters: number, part: string): void {
    this.spend(Math.ceil((characters / charactersPerStep) * (1 + part.length / charactersOfPart)));
  }

  fold(text: string): string {
    this.read(text);
    return foldText(text);
  }

  /** Done once for each list, however often it is asked. */
  foldAll(list: readonly unknown[]): FoldedList {
    const known = this.#folded.get(list);
    if (known !== undefined) return known;
    const values = list.map((each) => {
      if (typeof each === 'string') return this.fold(each);
      this.spend(1);
      return each;
    });
    const texts = values.filter((each) => typeof each === 'string');
    const characters = texts.reduce((sum, each) => sum + each.length, 0);
    const folded = { values: new Set(values), texts, characters };
    this.#folded.set(list, folded);
    return folded;
  }

  /** The value of a text that is JSON, else the text. It may have a value for every two characters. */
  parse(text: string): unknown {
    this.spend(1 + Math.ceil(text.length / 4));
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }

  /** As JSON. @throws Fault IDENTITY_MAPPING_TOO_COSTLY | IDENTITY_CLAIMS_TOO_LARGE */
  stringify(value: unknown): string {
    walk(value, (text) => this.read(text));
    return JSON.stringify(value) ?? '';
  }
}

/** @throws Fault IDENTITY_CLAIMS_TOO_LARGE */
export function checkClaims(claims: unknown): void {
  let values = 0;
  let bytes = 0;
  walk(claims, (text) => {
    values += 1;
    bytes += Buffer.byteLength(text);
    if (values > mostClaimValues) throw tooLarge(`more than ${mostClaimValues} values`);
    if (bytes > mostClaimBytes) throw tooLarge(`more than ${mostClaimBytes} bytes`);
  });
}

/**
 * Looks at every value within a value, and the name it has there as text. Without recursion, so that no depth of it ends
 * the process's stack.
 */
function walk(whole: unknown, look: (text: string) => void): void {
  const waiting: { readonly value: unknown; readonly depth: number }[] = [{ value: whole, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, depth } = next;
    look(typeof value === 'string' ? value : '');
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= mostClaimDepth) throw tooLarge(`values nested deeper than ${mostClaimDepth} levels`);
    const isList = Array.isArray(value);
    for (const [key, each] of Object.entries(value)) {
      if (!isList) look(key);
      waiting.push({ value: each, depth: depth + 1 });
    }
  }
}

const tooLarge = (what: string) => new Fault('IDENTITY_CLAIMS_TOO_LARGE', { what });
