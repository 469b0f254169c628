import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import { passwordLength } from '#contract/password.ts';
import { commonWords } from './common-passwords.ts';

/** Of whom the password will be; it may not be made of this. */
export interface PasswordOwner {
  readonly email: string;
  readonly name?: string | undefined;
}

const leastDifferent = 5;
/** What must be left beside words that guessers try first; each different such word counts for two letters. */
const leastOwn = 7;

/**
 * For every new password, as NIST SP 800-63B has it: long enough, and none that guessers try first; no rules about
 * capitals, digits or signs, and no expiry. What is set already stays good.
 * @throws Fault PASSWORD_WEAK with `why`, which never quotes the password
 */
export function checkNewPassword(password: Secret, owner: PasswordOwner): void {
  const why = weaknessOf(password.reveal().normalize('NFKC'), owner);
  if (why !== undefined) throw new Fault('PASSWORD_WEAK', { why });
}

function weaknessOf(text: string, owner: PasswordOwner): string | undefined {
  const letters = [...text];
  const { least, most } = passwordLength;
  if (letters.length < least)
    return `it has ${letters.length} characters; wanted are ${least} or more. A few words that do not belong together are easy to keep in mind`;
  if (letters.length > most) return `it has ${letters.length} characters; wanted are ${most} at most`;
  if (new Set(letters).size < leastDifferent) return `it is made of fewer than ${leastDifferent} different characters`;
  if (isRepeated(letters)) return 'it repeats the same few characters';
  if (ownLetters(text, { personal: personal(owner), tried: [] }) < leastOwn)
    return 'it is made of your name or e-mail address';
  if (ownLetters(text, { personal: personal(owner), tried: commonWords }) < leastOwn)
    return 'it is made of words, dates or rows of keys that are tried first';
  return undefined;
}

/** One to six characters again and again. */
function isRepeated(letters: readonly string[]): boolean {
  return [1, 2, 3, 4, 5, 6].some((period) => letters.every((letter, at) => letter === letters[at % period]));
}

const lookAlikes: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '8': 'b',
  '@': 'a',
  $: 's',
  '!': 'i',
  l: 'i',
};

/** `P@ssw0rd` and `password` are tried in the same breath. */
const fold = (letters: readonly string[]) => letters.map((letter) => lookAlikes[letter] ?? letter).join('');

/** Stands where a word was taken out. */
const taken = '\0';

/**
 * Letters that belong to none of the words, and two for each different one of them; infinitely many where none is in it.
 * Digits and signs hung on to words count for nothing.
 */
function ownLetters(text: string, words: { personal: readonly string[]; tried: readonly string[] }): number {
  const letters = [...text.toLowerCase()];
  const own = without(fold(letters), words.personal);
  const { left, found } = without(own.left, words.tried);
  if (own.found.length + found.length === 0) return Number.POSITIVE_INFINITY;
  const places = [...left];
  const count = letters.filter((letter, at) => places[at] !== taken && /\p{L}/u.test(letter)).length;
  return count + 2 * found.filter((word) => /[a-z]/.test(word)).length;
}

/** The longest words first. What they leave keeps its place. */
function without(folded: string, listed: readonly string[]) {
  let left = folded;
  const found = [...listed]
    .sort((a, b) => b.length - a.length)
    .filter((word) => {
      const looked = fold([...word]);
      const there = left.includes(looked);
      left = left.replaceAll(looked, taken.repeat(looked.length));
      return there;
    });
  return { left, found };
}

function personal({ email, name = '' }: PasswordOwner): readonly string[] {
  const parts = [...email.toLowerCase().split(/[@.+_-]/), ...name.toLowerCase().split(/\s+/), 'plinth'];
  return [email.toLowerCase(), ...parts].filter((part) => part.length >= 4);
}
