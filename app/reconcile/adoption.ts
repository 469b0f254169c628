import type { Policies } from '#environments/policies.ts';
import type { Adoptable, AppliedObject } from '#runtime/runtime.ts';
import { conflictsText } from './decide/fight.ts';
import type { Report } from './reports.ts';

/** Which objects that exist already an object may take the place of; undefined: none. */
export const adoptableBy = (policies: Policies | undefined, adoptFrom: readonly string[]): Adoptable | undefined =>
  policies?.adopt === true ? { installations: adoptFrom } : undefined;

/** What was taken over and from whom; undefined: nothing was. */
export function adoptionOf(object: string, { adopted, takenOver }: AppliedObject): Report | undefined {
  if (adopted === undefined) return undefined;
  const whose = adopted.installation === undefined ? 'nobody' : `installation ${adopted.installation}`;
  const writers = adopted.managers.length === 0 ? '' : `; ${adopted.managers.join(', ')} had written it`;
  const fields = takenOver.length === 0 ? 'No field of it was other' : `Taken over from ${conflictsText(takenOver)}`;
  const message = `${object} belonged to ${whose}${writers}, and is the project's now. ${fields}.`;
  return { kind: 'adoption', object, message, managers: takenOver };
}
