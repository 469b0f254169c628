/** The API of a Git host, as far as Plinth uses it. One file a provider beside this one. */
export interface GitHost {
  readonly kind: HostKind;
  /**
   * Sets a status of a commit; the same (revision, context) again replaces it.
   * @throws Fault GIT_HOST_UNAVAILABLE (try again) | GIT_HOST_REFUSED (final), never with a credential in it
   */
  setStatus(status: CommitStatus, signal?: AbortSignal): Promise<void>;
}

export const hostKinds = ['github', 'gitlab', 'gitea', 'bitbucket'] as const;
export type HostKind = (typeof hostKinds)[number];

export interface CommitStatus {
  /** Full SHA. */
  readonly revision: string;
  /** `plinth/<environment>/applied` or `plinth/<environment>/healthy`. */
  readonly context: string;
  readonly state: 'pending' | 'success' | 'failure';
  /** One line, at most 140 characters. */
  readonly description: string;
  /** A page about it; undefined: none. */
  readonly url: string | undefined;
}
