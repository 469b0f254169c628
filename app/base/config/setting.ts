/** The parts of Plinth that settings may wait for: each comes with a later issue. */
export type Feature =
  | 'backup'
  | 'billing'
  | 'chat'
  | 'ChatOps'
  | 'console'
  | 'Docker runtime'
  | 'hibernation and snapshots'
  | 'incoming e-mail'
  | 'knowledge graph'
  | 'LLM proxy'
  | 'MCP servers';

/** What a parser knows beside the text, and where it says what it did with it. */
export interface Reading {
  /** NODE_ENV=production: known and weak secrets are refused. */
  readonly production: boolean;
  /** A sentence that follows the name of the setting; it never holds the value of a secret. */
  warn(text: string): void;
}

/** Turns a text into a value. Throws an Error whose message says what was wanted, never what came. */
export type Parser<T> = (text: string, reading: Reading) => T;

/** One setting: its names, what it does, and how its text becomes a value. */
export interface Setting<T> {
  /** Ours first; the others mean the same. */
  readonly names: readonly [string, ...string[]];
  readonly about: string;
  /** The default as a person would write it, or in words what counts without it. */
  readonly defaultText: string;
  /** The default as text, where there is one that could be written down. */
  readonly standard?: string;
  /** The value is wrapped, and never printed. */
  readonly secret?: boolean;
  /** What it waits for: until then it is validated and reported, nothing more. Absent: it takes effect. */
  readonly activeIn?: Feature;
  /** Names in the order in which they count. With it, several different values are no fault. */
  readonly order?: readonly string[];
  /** Why a text under this name is not meant for Plinth, for names that others set too. */
  readonly ignores?: (text: string, name: string) => string | undefined;
  /** Throws an Error whose message says what was wanted. `undefined` means that the setting is absent. */
  parse(text: string | undefined, reading?: Reading): T;
}

/** Every setting of a subject, by the field of `Config` that it fills. */
export type Rows = Readonly<Record<string, Setting<unknown>>>;
/** What a subject's settings become. */
export type Values<R extends Rows> = { readonly [Name in keyof R]: ReturnType<R[Name]['parse']> };

/** Where the rules between settings say what they found. */
export interface Findings {
  readonly production: boolean;
  /** Said unless one of these fields is at fault already. `text` is a whole sentence with the fix. */
  fault(fields: readonly string[], text: string): void;
  warn(text: string): void;
  info(text: string): void;
}

interface Row<T> extends Pick<Setting<T>, 'names' | 'about' | 'secret' | 'activeIn' | 'order' | 'ignores'> {
  /** The first parameter is the text as it was given. */
  readonly read: Parser<T>;
}

const outsideProduction: Reading = { production: false, warn: () => {} };

/** A setting with a default, which is read like a given text. */
export function setting<T>(row: Row<T> & { readonly standard: string }): Setting<T>;
/** A setting that may be absent; `unset` says what counts then. */
export function setting<T>(row: Row<T> & { readonly unset: string }): Setting<T | undefined>;
export function setting<T>({
  read,
  standard,
  unset,
  ...row
}: Row<T> & { readonly standard?: string; readonly unset?: string }): Setting<T | undefined> {
  return {
    ...row,
    standard,
    defaultText: standard ?? unset ?? '',
    parse: (text, reading = outsideProduction) => {
      const given = text ?? standard;
      return given === undefined ? undefined : read(given, reading);
    },
  };
}
