const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const fields = [
  { name: 'minute', least: 0, most: 59, words: [] },
  { name: 'hour', least: 0, most: 23, words: [] },
  { name: 'day of the month', least: 1, most: 31, words: [] },
  { name: 'month', least: 1, most: 12, words: months },
  { name: 'day of the week', least: 0, most: 6, words: days },
] as const;

const nicknames = ['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually'];

/** Why Kubernetes would not take this schedule, or undefined. */
export function scheduleFault(text: string): string | undefined {
  if (nicknames.includes(text)) return undefined;
  if (text.startsWith('@')) return `${text} is none of ${nicknames.join(', ')}`;
  if (/\bTZ=/.test(text)) return 'the time zone belongs into timeZone';
  const parts = text.trim().split(/\s+/);
  if (parts.length !== fields.length)
    return `it has ${parts.length} fields; wanted are five: minute hour day month weekday`;
  for (const [index, field] of fields.entries()) {
    const fault = (parts[index] ?? '').split(',').find((part) => !takes(part, field));
    if (fault !== undefined)
      return `${field.name} is ${JSON.stringify(parts[index])}; it goes from ${field.least} to ${field.most}`;
  }
  return undefined;
}

/** One part of a field: `*`, `5`, `1-5`, each with a step: `*` + `/15`. */
function takes(part: string, field: (typeof fields)[number]): boolean {
  const [range = '', step, ...more] = part.split('/');
  if (more.length > 0 || (step !== undefined && !/^[1-9]\d{0,2}$/.test(step))) return false;
  if (range === '*' || range === '?') return true;
  const ends = range.split('-').map((end) => numberOf(end, field));
  if (ends.length > 2 || ends.some((end) => end === undefined)) return false;
  const [from = 0, to = from] = ends;
  return from >= field.least && to <= field.most && from <= to;
}

function numberOf(text: string, { words, least }: (typeof fields)[number]): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text);
  const index = (words as readonly string[]).indexOf(text.toLowerCase());
  return index === -1 ? undefined : index + least;
}
