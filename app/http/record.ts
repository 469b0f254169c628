import { isId } from '#base/ids.ts';
import type { Caller } from '#contract/caller.ts';
import type { AuditFacts, Route } from '#contract/route.ts';
import type { RequestContext } from './context.ts';

/** What the audit is told of one request; made for `Audit.record`, which this room does not know. */
export interface RequestRecord {
  readonly actor: {
    readonly id: string;
    readonly name: string;
    readonly kind: Caller['kind'] | 'anonymous';
    readonly credential?: string;
  };
  /** Name of the route. */
  readonly action: string;
  /** The path without `/api/v1/`, never the query. */
  readonly target: string;
  readonly outcome: 'done' | 'denied' | 'failed';
  readonly status: number;
  readonly address: string;
  readonly userAgent?: string;
  readonly requestId: string;
  readonly before?: unknown;
  readonly after?: unknown;
  readonly detail?: Readonly<Record<string, string>>;
}

export interface RecordedRequest {
  readonly route: Route;
  readonly caller: Caller | undefined;
  readonly params: Readonly<Record<string, unknown>>;
  readonly context: RequestContext;
  readonly userAgent: string | undefined;
}

const nobody = { id: '', name: 'anonymous', kind: 'anonymous' } as const;
const mostAgent = 200;
/** Parameters that may be proofs: whoever reads the audit must not be able to use them. The id of a token is none. */
const isProof = (name: string, value: unknown) =>
  ['token', 'code'].includes(name) && !(typeof value === 'string' && isId('token', value));

/** The record of a request that ended so. */
export function recordOf(
  { route, caller, params, context, userAgent }: RecordedRequest,
  end: { readonly outcome: RequestRecord['outcome']; readonly status: number; readonly code?: string | undefined },
  facts: AuditFacts = {},
): RequestRecord {
  const path = route.path
    .replace(/^\/(api\/v1\/)?/, '')
    .replace(/\{(\w+)\}/g, (whole, name: string) =>
      isProof(name, params[name]) ? whole : String(params[name] ?? whole),
    );
  return {
    actor: caller === undefined ? nobody : actorOf(caller),
    action: route.name,
    target: facts.target === undefined || path.endsWith(`/${facts.target}`) ? path : `${path}/${facts.target}`,
    outcome: end.outcome,
    status: end.status,
    address: context.address,
    userAgent: userAgent?.slice(0, mostAgent),
    requestId: context.id,
    before: facts.before,
    after: facts.after,
    ...(end.code === undefined && facts.detail === undefined
      ? {}
      : { detail: { ...facts.detail, ...(end.code === undefined ? {} : { code: end.code }) } }),
  };
}

/** Who a caller is to the audit: with the proof that came, so that what a stolen token did is found. */
export function actorOf({ id, name, kind, credential }: Caller) {
  const proof = credential.id === undefined ? credential.kind : `${credential.kind}:${credential.id}`;
  return { id, name, kind, credential: proof };
}
