import { distance } from 'fastest-levenshtein';

/** The most that a slip changes: two edits; of a short name, which many others are near to, one. */
const mostEdits = (name: string, candidate: string) =>
  Math.min(2, Math.floor(Math.min(name.length, candidate.length) / 3));

/** The candidate that `name` is a slip of, in any case; itself if it is one. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < fewest && edits <= mostEdits(name, candidate)) [best, fewest] = [candidate, edits];
  }
  return best;
}

/**
 * The candidate that `name` looks most like, further away than a slip: one that goes on where it ends, or ends where it
 * goes on, else one with no more than a third of its letters changed. For names that somebody surely meant for us.
 */
export function neighbour(name: string, candidates: Iterable<string>): string | undefined {
  const all = [...candidates];
  const slip = nearest(name, all);
  if (slip !== undefined) return slip;
  const goesOn = all.filter((each) => (each.startsWith(name) && name.length > 4) || name.startsWith(`${each}_`));
  const near = all.filter((each) => distance(name, each) <= name.length / 3);
  return (goesOn.length > 0 ? goesOn : near).sort((a, b) => distance(name, a) - distance(name, b))[0];
}
