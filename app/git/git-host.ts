import { bitbucketStatus } from './hosts/bitbucket.ts';
import { giteaStatus } from './hosts/gitea.ts';
import { githubStatus } from './hosts/github.ts';
import { gitlabStatus } from './hosts/gitlab.ts';
import type { CommitStatus, GitHost, HostKind } from './hosts/host.ts';
import { createHostRequests, type HostRequestOptions } from './hosts/request.ts';
import type { StatusRequest } from './hosts/status.ts';

export type { CommitStatus, GitHost, HostKind } from './hosts/host.ts';

export interface GitHostOptions extends HostRequestOptions {
  readonly kind: HostKind;
  /** `owner/name`; at GitLab any number of groups may stand before the name. */
  readonly repository: string;
}

/** A host with its connections. */
export interface OpenGitHost extends GitHost {
  close(): Promise<void>;
}

type Tell = (repository: readonly string[], status: CommitStatus, apiUrl: string) => StatusRequest;

const tellers: Readonly<Record<HostKind, Tell>> = {
  github: githubStatus,
  gitlab: gitlabStatus,
  gitea: giteaStatus,
  bitbucket: bitbucketStatus,
};

const mostDescription = 140;

/** The API of the Git host that holds the state repository. @throws Error when the repository is no `owner/name` */
export function createGitHost(options: GitHostOptions): OpenGitHost {
  const { kind, apiUrl } = options;
  const repository = partsOf(options.repository, kind);
  const tell = tellers[kind];
  const requests = createHostRequests(options);
  return {
    kind,
    setStatus: async (status, signal) => {
      if (!/^[0-9a-f]{40}$/.test(status.revision)) throw new Error(`${status.revision} is not a full SHA`);
      const line = status.description.replace(/[\p{Cc}\s]+/gu, ' ').trim();
      const { path, ...how } = tell(repository, { ...status, description: shorten(line) }, apiUrl);
      await requests.post({ ...how, path: path.map((part) => `/${encodeURIComponent(part)}`).join(''), signal });
    },
    close: requests.close,
  };
}

/** Every host takes letters, digits, `.`, `_`, `-` and (Bitbucket's ids of workspaces) braces in names, none of them alone as dots. */
function partsOf(repository: string, kind: HostKind): readonly string[] {
  const parts = repository.replace(/\.git$/, '').split('/');
  const named = parts.every((part) => /^[\w.{}-]+$/.test(part) && !/^\.+$/.test(part));
  if (!named || parts.length < 2 || (parts.length > 2 && kind !== 'gitlab'))
    throw new Error(`${repository} is not the name of a repository at ${kind}; wanted is owner/name`);
  return parts;
}

/** By characters as people count them, so that none is cut in two. */
function shorten(line: string): string {
  const characters = [...line];
  return characters.length <= mostDescription ? line : `${characters.slice(0, mostDescription - 1).join('')}…`;
}
