import type { HostAnswer } from './request.ts';

/** How one host is told of a status. */
export interface StatusRequest {
  /** Parts of the path below the API's base, not encoded yet. */
  readonly path: readonly string[];
  headers(credential: string): Readonly<Record<string, string>>;
  readonly body: unknown;
  /** Reads an answer from 400 on that means that the status stands already. */
  isFine?(answer: HostAnswer): boolean;
}
