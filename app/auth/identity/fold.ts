/** Of more marks in a row than that no language knows (UAX 15: stream-safe text), putting them in order takes their square. */
const wild = /\p{M}{31}/u;

/** Texts that fold to the same are one to people: names of groups are compared so. Costs in proportion to its length. */
export function foldText(text: string): string {
  return (wild.test(text) ? text : text.normalize('NFC')).toLowerCase();
}
