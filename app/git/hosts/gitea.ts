import type { CommitStatus } from './host.ts';
import type { StatusRequest } from './status.ts';

/** POST /repos/{owner}/{repo}/statuses/{sha}, which answers 201. Forgejo has the same. */
export const giteaStatus = (repository: readonly string[], status: CommitStatus): StatusRequest => ({
  path: ['repos', ...repository, 'statuses', status.revision],
  headers: (credential) => ({ authorization: `token ${credential}`, accept: 'application/json' }),
  body: {
    state: status.state,
    context: status.context,
    description: status.description,
    target_url: status.url ?? '',
  },
});
