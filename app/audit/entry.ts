/** Who did something: a person, a service account, or Plinth itself (`settings`, `plinth`). */
export interface Actor {
  readonly id: string;
  readonly name: string;
  readonly kind: 'user' | 'service-account' | 'system' | 'anonymous';
  /** By which proof, and its id: `token:tok_…`, `session:ses_…`, `password`. */
  readonly credential?: string;
}

/** One thing that was done, or tried. */
export interface AuditEntry {
  readonly actor: Actor;
  /** Name of the route (`putProject`), or of what is no route: `signIn`, `push`, `recover`. */
  readonly action: string;
  /** What was acted on, as a path without values: `environments/local/projects/shop/web`. Never a secret. */
  readonly target: string;
  readonly outcome: 'done' | 'denied' | 'failed';
  /** HTTP status where there was one. */
  readonly status?: number;
  readonly address?: string;
  readonly userAgent?: string;
  readonly requestId?: string;
  /** What it was and what it is; only SHA-256 digests of their canonical JSON are kept. */
  readonly before?: unknown;
  readonly after?: unknown;
  /** Plain facts for people: names and numbers, never a secret. */
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
}
