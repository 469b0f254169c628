import type { ProjectKey } from '#environments/layout.ts';
import { type Action, actions, type Mode } from '#environments/operations.ts';
import type { Environment } from '#environments/schema.ts';
import { type Standing, windowAgainst, windowsOf } from './windows.ts';

/** An action that somebody turned off, for a project, a team (`project` empty) or a whole environment. */
export interface Switch {
  readonly action: Action;
  readonly reason: string;
  readonly actor: string;
  readonly until: Date | undefined;
  /** How far it goes; absent: for the project alone. */
  readonly wide?: 'team' | 'environment' | undefined;
}

/** What a run may do now, and why not more. */
export interface Allowed {
  readonly mode: Mode;
  readonly apply: boolean;
  readonly heal: boolean;
  readonly prune: boolean;
  readonly promote: boolean;
  /** For each action that is not allowed a sentence: who or which window, why, until when. */
  readonly because: Readonly<Partial<Record<Action, string>>>;
  /** When this may change by itself: a window opens or closes, a switch expires. */
  readonly until: Date | undefined;
}

export interface AllowedInput {
  readonly key: ProjectKey;
  readonly environment: Environment;
  /** From the annotation `plinth.dev/mode` of its manifests; undefined: the environment's. The stricter one counts. */
  readonly mode: Mode | undefined;
  readonly switches: readonly Switch[];
  /** True: a person asked for this run. */
  readonly manual: boolean;
  readonly now: Date;
}

/** Everything that can be forbidden by mode, and by which. */
const forbiddenBy: Readonly<Record<Mode, readonly Action[]>> = {
  heal: [],
  warn: ['heal'],
  detect: ['apply', 'heal', 'prune'],
};
const strictness: readonly Mode[] = ['heal', 'warn', 'detect'];

/**
 * What may be done to a project at a moment: nothing that its mode forbids, that somebody switched off, or that a
 * window stands against. Holds are not looked at here: they forbid everything by themselves. Pure.
 */
export function allowedNow(input: AllowedInput): Allowed {
  const { environment, key, now, manual } = input;
  const mode = stricter(environment.reconcile.mode, input.mode);
  const off = input.switches.filter(({ until }) => until === undefined || until > now);
  const standing = windowsOf(environment, key, now);
  const denials = actions.map((action) => {
    const why =
      becauseOfMode(input, mode, action) ??
      becauseOfSwitch(off, action) ??
      becauseOfWindow(windowAgainst(standing, action, manual));
    return [action, why] as const;
  });
  const denied = new Map(denials.filter((denial): denial is [Action, string] => denial[1] !== undefined));
  return {
    mode,
    apply: !denied.has('apply'),
    heal: !denied.has('heal'),
    prune: !denied.has('prune'),
    promote: !denied.has('promote'),
    because: Object.fromEntries(denied),
    until: earliest([...off.map(({ until }) => until), ...standing.map(({ until }) => until)]),
  };
}

export const stricter = (a: Mode, b: Mode | undefined): Mode =>
  b !== undefined && strictness.indexOf(b) > strictness.indexOf(a) ? b : a;

/** The mode that a manifest's annotation says; what is none of them counts for nothing. */
export const modeOf = (text: string | undefined): Mode | undefined => strictness.find((mode) => mode === text);

function becauseOfMode({ environment }: AllowedInput, mode: Mode, action: Action): string | undefined {
  if (!forbiddenBy[mode].includes(action)) return undefined;
  const whose = environment.reconcile.mode === mode ? `environment ${environment.name}` : 'the project';
  return `reconcile.mode of ${whose} is ${mode}`;
}

function becauseOfSwitch(off: readonly Switch[], action: Action): string | undefined {
  const found = off
    .filter((one) => one.action === action)
    .sort((a, b) => (b.until?.getTime() ?? Infinity) - (a.until?.getTime() ?? Infinity))[0];
  if (found === undefined) return undefined;
  const where = found.wide === undefined ? '' : ` for the whole ${found.wide}`;
  const until = found.until === undefined ? '' : ` until ${timeText(found.until)}`;
  return `${found.actor} switched it off${where}${until}: ${found.reason}`;
}

function becauseOfWindow(against: Standing | undefined): string | undefined {
  if (against === undefined) return undefined;
  const { window, until } = against;
  const { kind, schedule, duration, timeZone, reason } = window;
  const named = `${schedule} for ${duration}, ${timeZone}`;
  if (kind === 'deny') return `a window denies it${until ? ` until ${timeText(until)}` : ''} (${named}): ${reason}`;
  const opens = until === undefined ? 'and none will ever be' : `the next one opens at ${timeText(until)}`;
  return `no window that allows it is open, ${opens} (${named}): ${reason}`;
}

/** A whole second, as people read it: a window never opens between two of them. */
const timeText = (at: Date): string => `${at.toISOString().slice(0, 19)}Z`;

const earliest = (times: readonly (Date | undefined)[]): Date | undefined =>
  times.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined);

/** A run that a person asked for, and the manifests that they asked it for. */
export interface Asked {
  /** Blob id of the manifests at that moment; empty: the project was gone from Git. */
  readonly manifests: string;
  readonly at: Date;
}

const askedMs = 10 * 60_000;

/** Whether a run counts as asked for by a person: for the manifests of that moment, for ten minutes. */
export const isAsked = (asked: Asked | undefined, manifests: string | undefined, now: Date): boolean =>
  asked !== undefined &&
  asked.manifests === (manifests ?? '') &&
  Math.abs(now.getTime() - asked.at.getTime()) < askedMs;
