import { createHash } from 'node:crypto';
import type { CommitStatus } from './host.ts';
import type { StatusRequest } from './status.ts';

const states = { pending: 'INPROGRESS', success: 'SUCCESSFUL', failure: 'FAILED' } as const;
const mostKey = 40;

/**
 * POST /repositories/{workspace}/{repo_slug}/commit/{commit}/statuses/build of Bitbucket Cloud, which answers 201, or
 * 200 where the key is there already. An address is a must. A credential with a colon is user and password (an API
 * token with its e-mail address), any other an access token.
 */
export const bitbucketStatus = (repository: readonly string[], status: CommitStatus, apiUrl: string): StatusRequest => {
  const path = ['repositories', ...repository, 'commit', status.revision];
  return {
    path: [...path, 'statuses', 'build'],
    headers: (credential) => ({
      authorization: credential.includes(':')
        ? `Basic ${Buffer.from(credential).toString('base64')}`
        : `Bearer ${credential}`,
      accept: 'application/json',
    }),
    body: {
      key: keyOf(status.context),
      name: status.context,
      state: states[status.state],
      description: status.description,
      url: status.url ?? `${apiUrl.replace(/\/+$/, '')}/${path.join('/')}`,
    },
  };
};

/** A key has 40 characters at the most; a context that is longer is known by its digest, and shown by its name. */
const keyOf = (context: string) =>
  context.length <= mostKey ? context : createHash('sha256').update(context).digest('hex').slice(0, mostKey);
