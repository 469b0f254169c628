import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ErrorCode, Fault } from '#base/errors.ts';
import type { Finding, Problem } from '#contract/problem.ts';
import { contextOf } from './context.ts';
import { sendProblemPage } from './page.ts';

/**
 * The problem document of any error: a Fault as it is, an error with `findings` as SPEC_INVALID, everything else as
 * INTERNAL without a word of it.
 */
export function problemOf(error: unknown, request: string): Problem {
  const fault = faultOf(error, request);
  const { findings, ...data } = fault.data as { findings?: Finding[] };
  return {
    type: `urn:plinth:problem:${fault.code.toLowerCase().replaceAll('_', '-')}`,
    title: titleOf(fault.code),
    status: fault.status,
    code: fault.code,
    detail: fault.message,
    request,
    ...(findings === undefined ? {} : { findings }),
    ...(Object.keys(data).length === 0 ? {} : { data }),
  };
}

/**
 * Answers with the problem of an error, and logs what was unforeseen. Where the reply has begun already, the connection
 * is cut, so that nobody takes a part for the whole.
 */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const context = contextOf(request);
  const problem = problemOf(error, context.id);
  // A caller who left is no fault of ours.
  if (response.destroyed) return;
  if (problem.status >= 500 && !(Fault.is(error) && error.retry)) context.log.error({ err: error }, 'request failed');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const [name, value] of Object.entries({ ...headersOf(problem), ...headers })) response.setHeader(name, value);
  discardRest(request);
  if (context.wantsPage && request.method !== 'HEAD') {
    sendProblemPage(response, problem);
    return;
  }
  response.statusCode = problem.status;
  response.end(JSON.stringify(problem));
}

function faultOf(error: unknown, request: string): Fault {
  if (Fault.is(error)) return error;
  if (hasFindings(error)) return new Fault('SPEC_INVALID', { findings: error.findings });
  if (error instanceof URIError)
    return new Fault('REQUEST_INVALID', {
      findings: [{ file: 'path', path: '', message: 'the path holds a % that is no percent-encoding of UTF-8' }],
    });
  return new Fault('INTERNAL', { request }, { cause: error });
}

function hasFindings(error: unknown): error is { findings: readonly Finding[] } {
  return error instanceof Error && 'findings' in error && Array.isArray(error.findings);
}

function headersOf(problem: Problem): Record<string, string> {
  const headers: Record<string, string> = {
    'Content-Type': 'application/problem+json',
    'Cache-Control': 'no-store',
  };
  const data: Record<string, unknown> = problem.data ?? {};
  if (typeof data.seconds === 'number') headers['Retry-After'] = String(data.seconds);
  if (Array.isArray(data.allowed)) headers.Allow = data.allowed.join(', ');
  return headers;
}

/** `SPEC_INVALID` → `Spec invalid`. */
function titleOf(code: ErrorCode): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const mostDiscardedBytes = 8 * 1024 * 1024;

/** Reads away what the caller still sends, so that it sees the answer; but not for ever. */
export function discardRest(request: IncomingMessage): void {
  if (request.complete) return;
  let seen = 0;
  request.on('data', (chunk: Buffer) => {
    seen += chunk.length;
    if (seen > mostDiscardedBytes) request.destroy();
  });
}
