import { randomBytes } from 'node:crypto';

/**
 * Secret values that can be found again. All of a run share one random marker, so that a megabyte is searched for
 * thousands of them at once, and each has it at its beginning and its end, so that a cut one is found too. Between
 * them stands what quoting, escaping and URLs change.
 */
export interface Canaries {
  /** A value that was never given before. */
  next(): string;
  readonly given: number;
  /** Where one of them stands in a text: as it is, in base64 at any offset, in hexadecimal. Percent signs change none. */
  findIn(text: string): readonly string[];
}

export function createCanaries(): Canaries {
  const marker = `Zq${randomBytes(9).toString('hex')}`;
  const forms = formsOf(marker);
  let given = 0;
  return {
    next: () => {
      given += 1;
      return `${marker}.${given} "ä'<&>\\\n/+%=#${marker}`;
    },
    get given() {
      return given;
    },
    findIn: (text) =>
      forms.flatMap((form) => {
        const at = text.indexOf(form);
        return at < 0 ? [] : [text.slice(Math.max(0, at - 200), at + form.length + 60)];
      }),
  };
}

/** Letters and digits, which no URL and no JSON writes otherwise. In base64 the edges depend on what stands beside. */
function formsOf(marker: string): readonly string[] {
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.from('x'.repeat(offset) + marker).toString('base64');
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  const hex = Buffer.from(marker).toString('hex');
  return [marker, ...base64, hex, hex.toUpperCase()];
}
