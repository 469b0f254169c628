import type { ProjectKey } from '#environments/layout.ts';
import { bounds, cut } from '#notify/message.ts';
import type { Telling as RuntimeTelling } from '#runtime/runtime.ts';
import type { Facts, ProjectTelling } from './tellings.ts';

/** A telling in words: one sentence, and more of them about single objects. Nothing is masked or cut yet. */
export interface Words {
  readonly summary: string;
  readonly details: readonly string[];
}

/** What a telling says to people. */
export function wordsOf({ environment, team, project }: ProjectKey, telling: ProjectTelling, facts: Facts): Words {
  const name = `${team}/${project} in ${environment}`;
  const at = facts.revision === undefined ? '' : ` at revision ${facts.revision.slice(0, 8)}`;
  const reasons = facts.reasons.map(({ object, state, reason }) => `${object} is ${state}: ${reason}`);
  const sentences: Readonly<Record<ProjectTelling['kind'], () => Words>> = {
    applied: () => ({ summary: `${name} is applied${at}`, details: [] }),
    healthy: () => ({
      summary: `${name} is ${telling.says.includes('applied') ? 'applied and ' : ''}healthy${at}`,
      details: [],
    }),
    failed: () => ({
      summary: `${name} is not applied: ${facts.problem?.detail ?? 'no reason is known'}`,
      details: reasons,
    }),
    degraded: () => ({
      summary: `${name} is degraded: ${facts.reasons[0]?.reason ?? 'no reason is known'}`,
      details: reasons,
    }),
    recovered: () => ({ summary: `${name} is well again${at}`, details: [] }),
    drift: () => ({
      summary: `${plural(telling.changes, 'edit')} of others to ${name}`,
      details: telling.reports.map(({ text }) => text),
    }),
    fight: () => ({
      summary: `Somebody else keeps rewriting objects of ${name}`,
      details: telling.reports.map(({ text }) => text),
    }),
    'needs-confirmation': () => {
      const objects = facts.question?.objects ?? [];
      return { summary: `${plural(objects.length, 'deletion')} of ${name} wait for a yes`, details: objects };
    },
    held: () => ({
      summary: `${name} is held: ${facts.problem?.detail ?? 'what Git says is not applied'}`,
      details: [],
    }),
  };
  const words = sentences[telling.kind]();
  const often = telling.changes > 1 && telling.reports.length === 0 ? ` (after ${telling.changes} changes)` : '';
  return { ...words, summary: words.summary + often };
}

/** As many details as a message holds, and how many more there are. */
export function bounded({ summary, details }: Words): Words {
  const left = details.length - bounds.details;
  const shown = left <= 0 ? details : [...details.slice(0, bounds.details - 1), `and ${left + 1} more of them`];
  return { summary: cut(summary), details: shown.map((line) => cut(line)) };
}

const eventReasons: Readonly<Record<ProjectTelling['kind'], readonly [RuntimeTelling['type'], string]>> = {
  applied: ['Normal', 'Applied'],
  healthy: ['Normal', 'Healthy'],
  failed: ['Warning', 'ApplyFailed'],
  degraded: ['Warning', 'Degraded'],
  recovered: ['Normal', 'Recovered'],
  drift: ['Normal', 'DriftFound'],
  fight: ['Warning', 'FightDetected'],
  'needs-confirmation': ['Warning', 'PruneRefused'],
  held: ['Normal', 'Held'],
};

const mostInEvent = 1024;

/** The same as an event beside the project's objects. */
export function eventOf(namespace: string, { kind }: Pick<ProjectTelling, 'kind'>, words: Words): RuntimeTelling {
  const [type, reason] = eventReasons[kind];
  const message = cut([words.summary, ...words.details].join('; '), mostInEvent);
  return { namespace, type, reason, message };
}

const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
