/** One thing that is wrong with a file a person wrote, said so that it can be mended without asking. */
export interface Finding {
  /** Path in the repository, or the name of the input. */
  readonly file: string;
  /** Where in the file, from 1; absent when no single place is to blame. */
  readonly line?: number;
  readonly column?: number;
  /** The place as dotted keys: `containers.web.port`. Empty for the whole document. */
  readonly path: string;
  /** What came, what was wanted and how to fix it, in one sentence. */
  readonly message: string;
}

/** Thrown by everything that reads a person's file: all findings at once, never only the first. */
export class InvalidInput extends Error {
  readonly findings: readonly Finding[];

  constructor(findings: readonly Finding[]) {
    super(findings.map(formatFinding).join('\n'));
    this.name = 'InvalidInput';
    this.findings = findings;
  }
}

/** `file:line:column path: message`, the form that terminals and editors turn into a link. */
export function formatFinding({ file, line, column, path, message }: Finding): string {
  const place = [file, line, line === undefined ? undefined : column].filter((part) => part !== undefined).join(':');
  return `${place} ${path === '' ? '' : `${path}: `}${message}`;
}
