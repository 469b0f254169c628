import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Fault } from '#base/errors.ts';
import { endChild, type GitChild, gitFault } from './process.ts';

export interface Conversation {
  readonly request: IncomingMessage;
  /** The request's body, inflated. */
  readonly body: Readable;
  /** Headers are set; it is left open. */
  readonly response: ServerResponse;
  readonly mostBodyBytes: number;
  readonly directory: string;
}

/**
 * Carries a request's body to git and git's output to the response, both as they come, until git has ended.
 * A caller who goes away ends git.
 * @throws Fault BODY_TOO_LARGE | BODY_INVALID, REPOSITORY_UNAVAILABLE when git failed unanswered.
 */
export async function converse(child: GitChild, conversation: Conversation): Promise<void> {
  const { request, body, response, mostBodyBytes, directory } = conversation;
  let said = '';
  let failure: unknown;
  const end = (error?: unknown) => {
    failure ??= error;
    void endChild(child);
  };
  child.on('error', end);
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString('utf8')}`.slice(-2048);
  });
  const closed = once(child, 'close').catch(() => []);
  let gone = false;
  response.once('close', () => {
    gone = true;
    if (body !== request) body.destroy();
    end();
  });
  if (Number(request.headers['content-length'] ?? 0) > mostBodyBytes)
    end(new Fault('BODY_TOO_LARGE', { limitBytes: mostBodyBytes }));
  else
    void feed(body, child.stdin, mostBodyBytes).catch((error: unknown) => {
      end(error);
      // Nobody reads the rest, and the answer is already given.
      if (response.writableEnded) request.destroy();
    });
  await pipeline(child.stdout, response, { end: false }).catch(end);
  await closed;
  if (gone) return;
  if (failure !== undefined) throw failure;
  if (!response.headersSent && child.exitCode !== 0) throw gitFault(directory, said);
}

/** The request's body as the client meant it. @throws Fault MEDIA_TYPE_UNKNOWN for an encoding that git never uses. */
export function inflate(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return request;
  if (encoding !== 'gzip' && encoding !== 'x-gzip')
    throw new Fault('MEDIA_TYPE_UNKNOWN', { came: `with Content-Encoding ${encoding}`, wanted: 'gzip, identity' });
  return request.pipe(createGunzip());
}

/** A process that ended early still lets the body be read to its end, so that the client comes to read the answer. */
async function feed(body: Readable, stdin: Writable, mostBytes: number): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > mostBytes) throw new Fault('BODY_TOO_LARGE', { limitBytes: mostBytes });
      if (stdin.writable && !stdin.write(chunk)) await roomIn(stdin);
    }
  } catch (error) {
    if (Fault.is(error)) throw error;
    throw new Fault('BODY_INVALID', { why: error instanceof Error ? error.message : String(error) }, { cause: error });
  }
  stdin.end();
}

/** Resolves when a stream takes more, or never will again. */
function roomIn(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
    if (stream.destroyed) done();
  });
}
