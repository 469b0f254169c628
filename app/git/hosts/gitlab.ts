import type { CommitStatus } from './host.ts';
import type { StatusRequest } from './status.ts';

/** What Plinth works on is `running`: `pending` at GitLab is what nobody has begun. */
const states = { pending: 'running', success: 'success', failure: 'failed' } as const;

/**
 * POST /projects/{id}/statuses/{sha}, which answers 201; the id is the whole path, encoded, with any number of groups.
 * A status that is running cannot begin to run: GitLab answers 400 to the same state again, which is fine. Bearer takes
 * personal, project and group tokens as well as those of OAuth.
 */
export const gitlabStatus = (repository: readonly string[], status: CommitStatus): StatusRequest => ({
  path: ['projects', repository.join('/'), 'statuses', status.revision],
  headers: (credential) => ({ authorization: `Bearer ${credential}`, accept: 'application/json' }),
  body: {
    state: states[status.state],
    name: status.context,
    description: status.description,
    ...(status.url === undefined ? {} : { target_url: status.url }),
  },
  isFine: ({ status: code, message }) =>
    code === 400 &&
    new RegExp(`cannot transition status via :\\w+ from :${states[status.state]}\\b`, 'i').test(message),
});
