/**
 * HTML that may be sent as it is. Only `html` and `attributes` make it, and both escape whatever they are given, so a
 * text from outside can never become markup.
 */
export class Html {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  /** For this file alone: the text is taken as it is. */
  static trusted(text: string): Html {
    return new Html(text);
  }

  toString(): string {
    return this.#text;
  }
}

/** Attributes with their names, ready to stand in a tag. Made by `attributes`. */
class Attributes {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What can stand between tags. Nothing is shown for undefined and false; a list is shown piece by piece. */
export type Piece = Html | string | number | undefined | false | readonly Piece[];

/**
 * Where an interpolation stands: between tags, inside of the quotes of an attribute, at the beginning of one that leads
 * somewhere, or in a tag.
 */
type Place = 'text' | 'attribute' | 'address' | 'tag';

const placesOf = new WeakMap<TemplateStringsArray, readonly Place[]>();

/**
 * A template of HTML: html`<p title="${title}">${words}</p>`. Every interpolation is escaped for the place where it
 * stands. Between tags a piece of HTML stays HTML; in the quotes of an attribute only text is taken; in a tag only what
 * `attributes` made.
 * @throws Error for a template that has an interpolation anywhere else: a name of a tag or an attribute, an attribute
 *   without quotes, a comment, a script or a style. It is a mistake of whoever wrote the template, found at its first use.
 */
export function html(strings: TemplateStringsArray, ...values: readonly (Piece | Attributes)[]): Html {
  const places = placesOf.get(strings) ?? findPlaces(strings);
  placesOf.set(strings, places);
  let text = strings[0] ?? '';
  for (const [index, value] of values.entries()) text += show(value, places[index] ?? 'text') + strings[index + 1];
  return Html.trusted(text);
}

/** Attributes that are there or not: true shows the name alone, undefined and false nothing. */
export function attributes(given: Readonly<Record<string, string | number | boolean | undefined>>): Attributes {
  let text = '';
  for (const [name, value] of Object.entries(given)) {
    if (!/^[a-z][a-z-]*$/.test(name) || name.startsWith('on') || name === 'style')
      throw new Error(`${name} is no attribute that a page of ours has`);
    if (value === undefined || value === false) continue;
    text += value === true ? ` ${name}` : ` ${name}="${escaped(String(value))}"`;
  }
  return new Attributes(text);
}

function show(value: Piece | Attributes, place: Place): string {
  if (value instanceof Attributes) {
    if (place === 'tag') return value.text;
    throw new Error('attributes stand in a tag');
  }
  if (place === 'tag') throw new Error('in a tag only attributes can stand');
  if (value === undefined || value === false) return '';
  if (place === 'address' && !(typeof value === 'string' && /^(?:\/(?![/\\])|#)/.test(value)))
    throw new Error('a page of ours leads only to paths of ours');
  if (typeof value === 'string' || typeof value === 'number') return escaped(String(value));
  if (place !== 'text') throw new Error('in an attribute only text can stand');
  if (value instanceof Html) return value.toString();
  return value.map((piece) => show(piece, place)).join('');
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character] ?? '');

/** Reads a template up to each of its interpolations, as far as HTML goes that we write ourselves. */
function findPlaces(strings: TemplateStringsArray): Place[] {
  let before = '';
  return strings.slice(0, -1).map((string) => {
    before += string;
    const place = placeAfter(before);
    // What will stand there cannot change the place of what follows: it is escaped.
    before += place === 'tag' ? ' x' : 'x';
    return place;
  });
}

function placeAfter(before: string): Place {
  if (/<!--(?!.*-->)/s.test(before) || /<(script|style)\b(?!.*<\/\1)/is.test(before))
    throw new Error(`nothing can be put into a comment, a script or a style: ${end(before)}`);
  if (/<\/?$/.test(before)) throw new Error(`an interpolation is no name of a tag: ${end(before)}`);
  const tag = /<[a-z/!][^<>"]*(?:"[^"]*"[^<>"]*)*("[^"]*)?$/i.exec(before);
  if (tag === null) return 'text';
  if (tag[1] !== undefined) {
    if (/\s(?:href|src|action|formaction)="$/i.test(before)) return 'address';
    if (/\s(?!on|style)[a-z][a-z-]*="[^"]*$/i.test(before)) return 'attribute';
    throw new Error(`this attribute takes no interpolation: ${end(before)}`);
  }
  if (/<[a-z][a-z0-9]*(\s[^<>]*[\s"])?$/i.test(before)) return 'tag';
  throw new Error(`an interpolation stands in the quotes of an attribute or between tags: ${end(before)}`);
}

const end = (text: string) => text.slice(-60);
