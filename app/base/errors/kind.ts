/** A row of the list of errors. `{name}` in `text` is filled from the fault's data. */
export interface ErrorKind {
  readonly status: number;
  /** true: the same request may succeed later without being changed; loops try again. false: final. */
  readonly retry: boolean;
  readonly text: string;
}

/** The rows of one subject. */
export type ErrorRows = Readonly<Record<string, ErrorKind>>;
