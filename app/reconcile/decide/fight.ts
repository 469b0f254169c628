import type { Conflict } from '#runtime/runtime.ts';

/**
 * Another controller that rewrites an object for ever. Every edit is healed at once, until that happens too often: from
 * then on there is a pause between two heals, so that it costs nobody anything, until the other one stops.
 */
export interface Fight {
  /** When the object was healed, in monotonic milliseconds: the last few, oldest first. */
  readonly heals: readonly number[];
  /** True since too many heals came too soon after each other. */
  readonly open: boolean;
  /** Who wrote what, as of the last heal that could tell. */
  readonly conflicts: readonly Conflict[];
}

/** So many heals in so long are a fight. */
const manyHeals = 5;
const manyWithinMs = 120_000;
/** In a fight a heal takes two requests at the most, so that no minute sees more than six. */
const pauseMs = 22_000;
/** Nobody rewrote it for so long: it is over. */
const quietMs = 90_000;

/** What is known after a heal at `nowMs`. */
export function afterHeal(before: Fight | undefined, nowMs: number, conflicts: readonly Conflict[]): Fight {
  const recent = (before?.heals ?? []).filter((ms) => nowMs - ms < manyWithinMs);
  const heals = [...recent, nowMs].slice(-manyHeals);
  return {
    heals,
    open: before?.open === true || heals.length === manyHeals,
    conflicts: conflicts.length > 0 ? conflicts : (before?.conflicts ?? []),
  };
}

/** When the object may be healed again; a time that has passed: now. */
export const healableAtMs = ({ heals, open }: Fight): number =>
  open ? (heals.at(-1) ?? Number.NEGATIVE_INFINITY) + pauseMs : Number.NEGATIVE_INFINITY;

/** When it is over if nobody rewrites the object again. Before it is open: when it is forgotten. */
export const overAtMs = ({ heals, open }: Fight): number =>
  (heals.at(-1) ?? Number.NEGATIVE_INFINITY) + (open ? quietMs : manyWithinMs);

/** `kubectl (.spec.replicas), tool (.data.a)`, for people. */
export const conflictsText = (conflicts: readonly Conflict[]): string =>
  conflicts.length === 0
    ? 'somebody who leaves no name'
    : conflicts.map(({ manager, fields }) => `${manager} (${fields.slice(0, 5).join(', ')})`).join(', ');
