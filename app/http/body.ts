import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Finding } from '#contract/problem.ts';
import type { BodyKind, RawBody } from '#contract/route.ts';

export interface BodyLimits {
  /** The most bytes of a body, as sent and after decompression. */
  readonly mostBytes: number;
  /** A body must have come completely within this time. */
  readonly timeoutMs: number;
}

export const bodyLimits: BodyLimits = { mostBytes: 1024 * 1024, timeoutMs: 30_000 };

const mediaTypes: Readonly<Record<string, BodyKind>> = {
  'application/json': 'json',
  'application/yaml': 'yaml',
  'application/x-yaml': 'yaml',
  'text/yaml': 'yaml',
  'text/x-yaml': 'yaml',
};

const wantedTypes: Readonly<Record<BodyKind, string>> = { json: 'application/json', yaml: 'application/yaml' };
const formType = 'application/x-www-form-urlencoded';
const mostDepth = 64;
/** Bodies of unproved senders that are larger than this are counted. */
const smallBytes = 64 * 1024;
const mostLargeAtOnce = 16;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const unzip = promisify(gunzip);

/**
 * Reads a whole body. Without a Content-Type (or with the one that curl makes up) it is YAML where the route takes YAML (of which JSON is a part).
 * @throws Fault BODY_TOO_LARGE | REQUEST_TOO_SLOW | BODY_INVALID | MEDIA_TYPE_UNKNOWN | ENCODING_UNKNOWN
 */
export async function readBody(
  request: IncomingMessage,
  kinds: readonly BodyKind[],
  clock: Clock,
  limits: BodyLimits = bodyLimits,
): Promise<RawBody> {
  const declared = kindOf(request, kinds);
  const zipped = isZipped(request);
  const sent = await collect(request, clock, limits);
  const text = decode(zipped ? await inflate(sent, limits.mostBytes) : sent);
  if (text.includes('\0')) throw zeroByte();
  const kind = declared ?? (/^\s*\{/.test(text) ? 'json' : 'yaml');
  return kind === 'yaml' ? { kind, text } : { kind, text, value: parseJson(text) };
}

/** Lets only so many large bodies of unproved senders be held at once. */
export interface LargeBodies {
  /** @throws Fault TOO_MANY_REQUESTS */
  hold<T>(reading: () => Promise<T>): Promise<T>;
}

export function createLargeBodies(most = mostLargeAtOnce): LargeBodies {
  let held = 0;
  return {
    hold: async (reading) => {
      if (held >= most) throw new Fault('TOO_MANY_REQUESTS', { seconds: 1 });
      held += 1;
      try {
        return await reading();
      } finally {
        held -= 1;
      }
    },
  };
}

/**
 * Reads the bytes of a body as they were sent, for who checks a signature over them.
 * @throws Fault as `readBody`, and TOO_MANY_REQUESTS
 */
export async function readBytes(
  request: IncomingMessage,
  types: readonly string[],
  clock: Clock,
  { limits = bodyLimits, large }: { readonly limits?: BodyLimits; readonly large: LargeBodies },
): Promise<Buffer> {
  const came = request.headers['content-type'];
  const type = came?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (!types.includes(type)) throw new Fault('MEDIA_TYPE_UNKNOWN', { came: came ?? '(none)', wanted: types });
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding !== 'identity') throw new Fault('ENCODING_UNKNOWN', { came: encoding, wanted: 'identity' });
  const reading = () => collect(request, clock, limits);
  // What does not say how large it is may be.
  const announced = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
  return await (announced <= smallBytes ? reading() : large.hold(reading));
}

/** Whether a page's form sent the request: asked only for routes that take forms. */
export function isForm(request: IncomingMessage): boolean {
  return request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() === formType;
}

/**
 * Reads an HTML form. Fields have text only; one that comes twice is a fault, as it is never clear which one counts.
 * @throws Fault as `readBody`, and REQUEST_INVALID
 */
export async function readForm(
  request: IncomingMessage,
  clock: Clock,
  limits: BodyLimits = bodyLimits,
): Promise<Record<string, string>> {
  const zipped = isZipped(request);
  const sent = await collect(request, clock, limits);
  const text = decode(zipped ? await inflate(sent, limits.mostBytes) : sent);
  const fields: Record<string, string> = Object.create(null);
  const findings: Finding[] = [];
  for (const [name, value] of new URLSearchParams(text)) {
    if (name.includes('\0') || value.includes('\0')) throw zeroByte();
    if (name in fields) findings.push({ file: 'body', path: name, message: 'it is given twice; once is wanted' });
    fields[name] = value;
  }
  if (findings.length > 0) throw new Fault('REQUEST_INVALID', { findings });
  return fields;
}

function kindOf(request: IncomingMessage, kinds: readonly BodyKind[]): BodyKind | undefined {
  const came = request.headers['content-type'];
  // `curl --data-binary` says "form" where its user said nothing. A form cannot send PUT, and Basic from a page is refused anyway.
  if ((came === undefined || came === formType) && kinds.includes('yaml')) return undefined;
  const [type = '', ...parameters] = (came ?? '').toLowerCase().split(';');
  const kind = mediaTypes[type.trim()];
  const charset = parameters.find((parameter) => parameter.trim().startsWith('charset='));
  const known = charset === undefined || /=\s*"?utf-?8"?\s*$/.test(charset);
  if (kind === undefined || !kinds.includes(kind) || !known)
    throw new Fault('MEDIA_TYPE_UNKNOWN', { came: came ?? '(none)', wanted: kinds.map((each) => wantedTypes[each]) });
  return kind;
}

function isZipped(request: IncomingMessage): boolean {
  const came = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (came === 'gzip' || came === 'x-gzip') return true;
  if (came === 'identity') return false;
  throw new Fault('ENCODING_UNKNOWN', { came, wanted: 'gzip' });
}

/** Every way in which a body can end, or not end, settles the promise once and removes the listeners. */
function collect(request: IncomingMessage, clock: Clock, { mostBytes, timeoutMs }: BodyLimits): Promise<Buffer> {
  if (Number(request.headers['content-length']) > mostBytes) throw tooLarge(mostBytes);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const waiting = new AbortController();
    const settle = () => {
      waiting.abort();
      request.off('data', data).off('end', end).off('close', cut).off('error', cut);
    };
    const fail = (fault: Fault) => {
      settle();
      reject(fault);
    };
    const data = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > mostBytes) fail(tooLarge(mostBytes));
      else chunks.push(chunk);
    };
    const end = () => {
      settle();
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    };
    const cut = () => fail(new Fault('BODY_INVALID', { why: 'the connection ended before the body was complete' }));
    request.on('data', data).on('end', end).on('close', cut).on('error', cut);
    clock.sleep(timeoutMs, waiting.signal).then(
      () => fail(new Fault('REQUEST_TOO_SLOW')),
      () => {},
    );
  });
}

const tooLarge = (limitBytes: number) => new Fault('BODY_TOO_LARGE', { limitBytes });

async function inflate(sent: Buffer, mostBytes: number): Promise<Buffer> {
  try {
    return await unzip(sent, { maxOutputLength: mostBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(mostBytes);
    throw new Fault('BODY_INVALID', { why: 'it is not gzip, as Content-Encoding says' }, { cause: error });
  }
}

function decode(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new Fault('BODY_INVALID', { why: 'it is not valid UTF-8' }, { cause: error });
  }
}

/** The place of a fault is told where the engine knows it, never the text around it: it may be a secret. */
function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    const position = /position (\d+)/.exec((error as Error).message)?.[1];
    const before = position === undefined ? undefined : text.slice(0, Number(position)).split('\n');
    const place = before === undefined ? '' : ` at line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
    throw new Fault('BODY_INVALID', { why: text.trim() === '' ? 'it is empty' : `it is not valid JSON${place}` });
  }
  if (isDeeperThan(mostDepth, value))
    throw new Fault('BODY_INVALID', { why: `it is nested deeper than ${mostDepth} levels` });
  if (holdsZero(value)) throw zeroByte();
  return value;
}

/** No database column, file of Git or variable of a process can hold one. */
const zeroByte = () => new Fault('BODY_INVALID', { why: 'it holds a zero byte' });

function holdsZero(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0');
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) => key.includes('\0') || holdsZero(inner));
}

/** Without recursion: what it guards against is the overflow of the stack. */
function isDeeperThan(most: number, value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > most) return true;
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []));
  }
  return false;
}
