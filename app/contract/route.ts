import type { z } from 'zod';
import type { Caller, Permission, RouteReach } from './caller.ts';

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH';
export type BodyKind = 'json' | 'yaml';

/** A route can answer in several forms; the caller chooses by Accept, the first one named here is the default. */
export interface ReplyKinds {
  /** An allow-list: fields that the schema does not name never leave. */
  readonly json?: z.ZodType;
  /** What the YAML is, for the documentation. */
  readonly yaml?: string;
  /** What the text is, for the documentation. */
  readonly text?: string;
  /** Server-sent events: name of the event → schema of its data. */
  readonly events?: Readonly<Record<string, z.ZodType>>;
  /** What the page shows, for the documentation. Pages are sent with a content policy that runs no script. */
  readonly html?: string;
}

export interface Route {
  /** Unique; the key of its handler, and the operation id in OpenAPI. */
  readonly name: string;
  /** Heading in the documentation. */
  readonly tag: string;
  readonly method: Method;
  /** Parameters as in OpenAPI: `/changes/{id}`. */
  readonly path: `/${string}`;
  readonly summary: string;
  /** `public`: answered without credentials. Everything else is denied unless the caller may do it. */
  readonly permission: Permission | 'public';
  /** What the route acts on; a route that is not public and does not say it is denied to everyone. */
  readonly reach?: RouteReach;
  /** Only a person with a session or a password may ask: a token that leaked cannot make itself permanent. */
  readonly inPerson?: true;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** With `bodyKinds` it only documents the JSON form: the handler gets a RawBody and judges it itself. */
  readonly body?: z.ZodType;
  readonly bodyKinds?: readonly BodyKind[];
  /** The body comes as the very bytes that were sent, in one of these media types, for who proves it by a signature. */
  readonly bytes?: readonly string[];
  /** The body may come as an HTML form as well as JSON: every field is text, an absent checkbox is absent. */
  readonly form?: true;
  /** The most bytes of the body, where the usual 1 MiB is wrong. */
  readonly mostBytes?: number;
  /**
   * Pages of other sites may send it, as an identity provider's reply is sent. What comes must prove itself and be
   * bound to the browser; the check of origins is not there to help.
   */
  readonly foreign?: true;
  /**
   * `room`: what came of it is recorded by its room; who is denied is recorded here, as for every route. `false`:
   * nothing is, since it is traffic and changes nothing.
   */
  readonly audit?: 'room' | false;
  /** Understands If-Match and If-None-Match: *. */
  readonly conditional?: boolean;
  /** No kind at all: an empty reply, status 204. */
  readonly reply: ReplyKinds;
  /** 200 unless said here. */
  readonly status?: number;
  /** A second outcome with a status and a JSON form of its own. */
  readonly also?: { readonly status: number; readonly about: string; readonly json: z.ZodType };
}

/** Keeps the literal types of one row of the table, from which handlers, replies and clients get theirs. */
export function defineRoute<const R extends Route>(route: R): R {
  return route;
}

/** A body that is kept letter for letter; it was valid UTF-8, so that `text` and the bytes sent are the same thing. */
export type RawBody =
  | { readonly kind: 'yaml'; readonly text: string }
  | { readonly kind: 'json'; readonly text: string; readonly value: unknown };

/** What a handler may learn of the request beyond what the contract names. */
export interface RequestFacts {
  readonly id: string;
  /** Address of the caller: of the other end of the connection, or what a trusted proxy says. */
  readonly address: string;
  /**
   * From If-Match the entity tag without its quotes ('*': it must exist); '' from `If-None-Match: *`: it must not
   * exist yet; undefined: not asked.
   */
  readonly ifMatch?: string;
  /** Aborts when the caller goes away, with the server's stop too. */
  readonly signal: AbortSignal;
  header(name: string): string | undefined;
  /** The first cookie of that name, as it came. */
  cookie(name: string): string | undefined;
  /** Whether the caller's browser speaks TLS, as far as the connection or a trusted proxy says. */
  readonly secure: boolean;
  /**
   * What was given as CSRF token: the header X-CSRF-Token, or the form's field `csrf`, which no schema names. For
   * callers with a session it has been checked; a public route that acts on a session checks it itself.
   */
  readonly csrf?: string | undefined;
}

type Nothing = Readonly<Record<never, never>>;
type Parsed<R, Key extends 'params' | 'query'> = R extends { readonly [K in Key]: infer S extends z.ZodType }
  ? Readonly<z.output<S>>
  : Nothing;
type ParsedBody<R> = R extends { readonly bodyKinds: readonly BodyKind[] }
  ? RawBody
  : R extends { readonly bytes: readonly string[] }
    ? Buffer
    : R extends { readonly body: infer S extends z.ZodType }
      ? Readonly<z.output<S>>
      : undefined;

/** A value on its way out, as deep as it goes: what the schema takes, and read-only lists as well. */
export type Given<T> = T extends readonly (infer Item)[]
  ? readonly Given<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Given<T[Key]> }
    : T;

/** Bytes or text that leave as they come. Ended by the caller's signal. */
export type Stream = AsyncIterable<Uint8Array | string>;

/** One server-sent event. `id` comes back as Last-Event-ID when the reader connects again. */
export type ServerEvent<Events> = {
  readonly [Name in keyof Events & string]: {
    readonly event: Name;
    readonly id?: string;
    readonly data: Events[Name] extends z.ZodType ? Given<z.input<Events[Name]>> : never;
  };
}[keyof Events & string];

type EmptyReply = { readonly [Kind in keyof ReplyKinds]?: undefined };

interface ReplyHead {
  readonly status?: number;
  /** Without quotes; the blob id of the spec. */
  readonly etag?: string | undefined;
  /** Where the thing made can be read; with status 303, where the browser goes on. */
  readonly location?: string;
  /** Whole `Set-Cookie` values. */
  readonly cookies?: readonly string[];
  /** What a page needs beyond the policy of all pages. */
  readonly page?: PageNeeds;
  /** What the audit is told beyond route, caller and outcome. */
  readonly audit?: AuditFacts;
  /** For a page that says with a status from 400 why nothing was done: the code of that fault, for the audit. */
  readonly failed?: string;
  /** With 429 and 503: when to try again. */
  readonly retryAfterSeconds?: number | undefined;
}

/** A page runs no script, loads styles from this host only, and its forms lead to this host only; unless said here. */
export interface PageNeeds {
  /** Origins to which a form of the page may lead, redirects included: `https://login.example.com`. */
  readonly formActions?: readonly string[];
  /** Digests of inline styles, as the policy writes them: `sha256-…`. */
  readonly styles?: readonly string[];
}

/** Of what was changed only digests are kept: two records with the same digest had the same content. */
export interface AuditFacts {
  /** What was acted on, where the path does not say it: an e-mail address, the id of a thing made. Never a secret. */
  readonly target?: string;
  /** As it was and as it is; secrets must be versions, not values. */
  readonly before?: unknown;
  readonly after?: unknown;
  /** What a reader of the audit wants in plain: a reason, a revision. Never a secret. */
  readonly detail?: Readonly<Record<string, string>>;
}

type ReplyForm<R extends Route> =
  | (R['reply'] extends { readonly json: infer S extends z.ZodType } ? { readonly json: Given<z.input<S>> } : never)
  | (R['reply'] extends { readonly yaml: string } ? { readonly yaml: Stream | string } : never)
  | (R['reply'] extends { readonly text: string } ? { readonly text: Stream | string } : never)
  | (R['reply'] extends { readonly html: string } ? { readonly html: string } | { readonly location: string } : never)
  | (R['reply'] extends { readonly events: infer Events }
      ? { readonly events: AsyncIterable<ServerEvent<Events>> }
      : never)
  | (R extends { readonly also: { readonly json: infer S extends z.ZodType } }
      ? { readonly json: Given<z.input<S>>; readonly status: R['also']['status'] }
      : never)
  | (keyof R['reply'] extends never ? EmptyReply : never);

/** What a handler of `R` answers: one of the forms that the route names. */
export type ReplyOf<R extends Route> = ReplyHead & ReplyForm<R>;

/** What a handler of `R` is given; everything in it has been checked against the contract. */
export interface InputOf<R extends Route> {
  readonly caller: R['permission'] extends 'public' ? undefined : Caller;
  readonly params: Parsed<R, 'params'>;
  readonly query: Parsed<R, 'query'>;
  readonly body: ParsedBody<R>;
  /** The form that the caller would like, one of the route's own. */
  readonly wanted: keyof R['reply'];
  readonly request: RequestFacts;
}

/** Errors: a Fault is answered with its status; something with `findings` with 422; everything else is INTERNAL. */
export type HandlerOf<R extends Route> = (input: InputOf<R>) => Promise<ReplyOf<R>>;

/** One handler for each route of the table: a missing one does not compile. */
export type HandlersOf<Table extends readonly Route[]> = {
  readonly [R in Table[number] as R['name']]: HandlerOf<R>;
};
