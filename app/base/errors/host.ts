import type { ErrorRows } from './kind.ts';

/** The Git host's API, and the webhooks that it sends. */
export const hostErrors = {
  GIT_HOST_UNAVAILABLE: { status: 503, retry: true, text: 'The Git host at {host} cannot be asked now: {why}.' },
  GIT_HOST_REFUSED: { status: 502, retry: false, text: 'The Git host at {host} refused it: {why}. {fix}' },
  WEBHOOKS_OFF: {
    status: 404,
    retry: false,
    text: 'Webhooks are not taken here. Set STATE_REPOSITORY_WEBHOOK_SECRET to the secret of the webhook at the Git host.',
  },
  WEBHOOK_PROVIDER_UNKNOWN: {
    status: 404,
    retry: false,
    text: 'There are no webhooks of {provider}; there are those of {known}.',
  },
  WEBHOOK_REFUSED: { status: 401, retry: false, text: 'The webhook is not taken.' },
} as const satisfies ErrorRows;
