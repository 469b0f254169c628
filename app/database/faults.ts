import { Fault } from '#base/errors.ts';

/** SQLSTATE classes and codes that mean "the server, not the statement": its end, its start, or no room for us. */
const unavailableStates = new Set(['57P01', '57P02', '57P03', '57P05', '53300', '25006', '25P03']);

const unavailableSystem = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT', // the socket's file is absent while the server is
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** pg reports a lost connection by text only, without a code; these are all its sentences (8.23). */
const unavailableTexts = [
  'Connection terminated',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
  'timeout expired',
  'timeout exceeded when trying to connect',
  'Query read timeout',
];

/** Lost connections become DATABASE_UNAVAILABLE, a full disk DISK_FULL; anything else comes back as it is. */
export function databaseFault(error: unknown): unknown {
  if (!(error instanceof Error) || Fault.is(error)) return error;
  const code = codeOf(error);
  if (code === '53100') return new Fault('DISK_FULL', { directory: 'the database' }, { cause: error });
  if (error.message === 'Cannot use a pool after calling end on the pool')
    return new Fault('STOPPING', {}, { cause: error });
  const unavailable =
    code === undefined
      ? unavailableTexts.some((text) => error.message.startsWith(text))
      : unavailableStates.has(code) || code.startsWith('08') || unavailableSystem.has(code);
  return unavailable ? new Fault('DATABASE_UNAVAILABLE', { why: sentenceOf(error) }, { cause: error }) : error;
}

/** Where a name has several addresses, each of them has an error of its own, and the whole has no sentence. */
const sentenceOf = (error: Error): string =>
  error instanceof AggregateError ? error.errors.map(({ message }: Error) => message).join('; ') : error.message;

/** True when another transaction was in the way, so that the same one may succeed when it is run again. */
export function isConflict(error: unknown): boolean {
  const code = codeOf(error);
  return code === '40001' || code === '40P01';
}

/** True when a row like this exists already; `constraint` names the index that says so. */
export function isDuplicate(error: unknown, constraint?: string): boolean {
  return codeOf(error) === '23505' && (constraint === undefined || field(error, 'constraint') === constraint);
}

/** SQLSTATE of a server's error, or the code of a system call. */
function codeOf(error: unknown): string | undefined {
  return field(error, 'code');
}

function field(error: unknown, name: 'code' | 'constraint'): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = (error as Record<string, unknown>)[name]; // any object may be asked for any field
  return typeof value === 'string' ? value : undefined;
}
