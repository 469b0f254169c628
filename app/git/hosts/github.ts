import type { CommitStatus } from './host.ts';
import type { StatusRequest } from './status.ts';

/**
 * POST /repos/{owner}/{repo}/statuses/{sha}, which answers 201. At most 1,000 statuses of one commit and context;
 * a request without a user agent is refused.
 */
export const githubStatus = (repository: readonly string[], status: CommitStatus): StatusRequest => ({
  path: ['repos', ...repository, 'statuses', status.revision],
  headers: (credential) => ({
    authorization: `Bearer ${credential}`,
    accept: 'application/vnd.github+json',
    'x-github-api-version': '2022-11-28',
  }),
  body: {
    state: status.state,
    context: status.context,
    description: status.description,
    ...(status.url === undefined ? {} : { target_url: status.url }),
  },
});
