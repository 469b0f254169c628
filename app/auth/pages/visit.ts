import { Fault } from '#base/errors.ts';
import type { Caller } from '#contract/caller.ts';
import type { AuditFacts, RequestFacts } from '#contract/route.ts';
import type { Session, Sessions } from '../sign-in/sessions.ts';
import type { Visitor } from './layout.ts';
import { type Trouble, troubleOf } from './trouble.ts';

/** What a page's handler answers: the page, or where the browser goes on. */
export type PageReply =
  | {
      readonly html: string;
      readonly status?: number;
      readonly cookies?: readonly string[];
      readonly failed?: string;
      readonly retryAfterSeconds?: number | undefined;
    }
  | { readonly location: string; readonly cookies?: readonly string[]; readonly audit?: AuditFacts };

/** The session of a request to a public page, the second factor shown or not. */
export const sessionOf = (sessions: Sessions, request: RequestFacts): Promise<Session | undefined> =>
  sessions.find(request.header('cookie'));

/** The form came from a page of this session. @throws Fault CSRF_TOKEN_WRONG */
export function checkSessionToken(sessions: Sessions, session: Session, request: RequestFacts): void {
  if (!sessions.isCsrfToken(session.id, request.csrf)) throw new Fault('CSRF_TOKEN_WRONG');
}

/** The person in front of a page of their own. Who came with a password or a token may look, and has no forms to send. */
export function visitorOf(sessions: Sessions, caller: Caller): Visitor {
  const { kind, id } = caller.credential;
  return { email: caller.name, csrf: kind === 'session' && id !== undefined ? sessions.csrfTokenOf(id) : '' };
}

/** The session by which a person sends a form of their own pages. @throws Fault FORBIDDEN for other credentials */
export async function ownSession(sessions: Sessions, caller: Caller, request: RequestFacts): Promise<Session> {
  const session = await sessionOf(sessions, request);
  if (session === undefined || session.id !== caller.credential.id)
    throw new Fault('FORBIDDEN', { actor: caller.name, permission: 'self:write without a session' });
  return session;
}

/**
 * Does what a form asks for. What a person can do something about is answered by `again`: the same page with the words
 * of what was wrong, and its status.
 */
export async function answerForm(
  work: () => Promise<PageReply>,
  again: (trouble: Trouble) => Promise<PageReply> | PageReply,
): Promise<PageReply> {
  let trouble: Trouble;
  try {
    return await work();
  } catch (error) {
    trouble = troubleOf(error);
  }
  const reply = await again(trouble);
  const { status, code, seconds } = trouble;
  return 'html' in reply ? { status, failed: code, retryAfterSeconds: seconds, ...reply } : reply;
}
