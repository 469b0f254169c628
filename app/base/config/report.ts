import type { Feature } from './setting.ts';

/** Where a value came from. */
export type Origin = 'process environment' | '.env' | 'default';

/** One setting as it counts now, for people. */
export interface SettingReport {
  /** The field of `Config`. */
  readonly field: string;
  readonly subject: string;
  /** Our name for it. */
  readonly name: string;
  /** As it was given, or the default; `[secret]` for a secret. */
  readonly valueText: string;
  /** Whether that is a value; without it, it says in words what counts as long as nothing is given. */
  readonly hasValue: boolean;
  readonly origin: Origin;
  /** The name under which it was given, where it was. */
  readonly givenAs: string | undefined;
  /** What it waits for; undefined: it takes effect. */
  readonly waitsFor: Feature | undefined;
}

/** Something to know. `warning`: a person should change something. It never holds the value of a secret. */
export interface Notice {
  readonly level: 'warning' | 'info';
  readonly text: string;
}

/** A name that is none of ours, and the one that it may be a slip of. */
export interface UnknownName {
  readonly name: string;
  readonly origin: Exclude<Origin, 'default'>;
  readonly nearest: string | undefined;
}

/** Everything that reading the settings found, besides faults. */
export interface SettingsReport {
  readonly settings: readonly SettingReport[];
  readonly notices: readonly Notice[];
  readonly unknown: readonly UnknownName[];
}

/**
 * A report as whole sentences, for the log of a start: notices, names that are not known, and what was given for parts
 * of Plinth that are not there yet.
 */
export function sentencesOf({ settings, notices, unknown }: SettingsReport): readonly Notice[] {
  const waiting = settings.filter(({ origin, waitsFor }) => origin !== 'default' && waitsFor !== undefined);
  const understood = [...Map.groupBy(waiting, ({ waitsFor }) => waitsFor)].map(([feature, given]): Notice => {
    const names = given.map(({ name, givenAs }) => givenAs ?? name).join(', ');
    return { level: 'info', text: `Understood, not active yet: ${names}. Waits for: ${feature}.` };
  });
  const unknowns = unknown.map((each): Notice => ({ level: 'warning', text: unknownSentence(each) }));
  return [...notices, ...unknowns, ...understood];
}

/** What to say about a name that is none of ours. */
export function unknownSentence({ name, origin, nearest }: UnknownName): string {
  const meant = nearest === undefined ? '.' : `; is ${nearest} meant?`;
  return `${name} of ${origin === '.env' ? '.env' : 'the process environment'} is no setting of Plinth${meant}`;
}

/** A text with what stands for user and password in an address left out. */
export const withoutCredentials = (text: string) =>
  text.replace(/\/\/\S*@/g, '//[secret]@').replace(/^[^\s@/:]+:(?!\/\/)[^\s@]+@/, '[secret]@');
