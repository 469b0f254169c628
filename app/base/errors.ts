import { gitErrors } from './errors/git.ts';
import { hostErrors } from './errors/host.ts';
import { peopleErrors } from './errors/people.ts';
import { processErrors } from './errors/process.ts';
import { projectErrors } from './errors/project.ts';
import { requestErrors } from './errors/request.ts';
import { runtimeErrors } from './errors/runtime.ts';
import { secretErrors } from './errors/secret.ts';
import { signInErrors } from './errors/sign-in.ts';

export type { ErrorKind } from './errors/kind.ts';

/**
 * The closed list of everything that can go wrong on purpose. A row says the HTTP status, whether trying again can
 * help, and the sentence a person reads; `{name}` is filled from the fault's data. The reference page is made from it.
 */
export const errorKinds = {
  ...requestErrors,
  ...signInErrors,
  ...peopleErrors,
  ...projectErrors,
  ...secretErrors,
  ...gitErrors,
  ...hostErrors,
  ...runtimeErrors,
  ...processErrors,
} as const;

export type ErrorCode = keyof typeof errorKinds;

/** An error of the list. `data` is shown to the caller, so it never holds a secret; `cause` is only logged. */
export class Fault extends Error {
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, data: Record<string, unknown> = {}, options?: { cause?: unknown }) {
    super(fill(errorKinds[code].text, data), options);
    this.name = 'Fault';
    this.code = code;
    this.data = data;
  }

  get status(): number {
    return errorKinds[this.code].status;
  }

  get retry(): boolean {
    return errorKinds[this.code].retry;
  }

  static is(error: unknown, code?: ErrorCode): error is Fault {
    return error instanceof Fault && (code === undefined || error.code === code);
  }
}

function fill(text: string, data: Record<string, unknown>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = data[name];
    if (value === undefined) return whole;
    return Array.isArray(value) ? value.join(', ') : String(value);
  });
}
