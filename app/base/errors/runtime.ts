import type { ErrorRows } from './kind.ts';

/** What projects run on, and reconciling it. */
export const runtimeErrors = {
  RUNTIME_UNAVAILABLE: { status: 503, retry: true, text: 'Cluster {cluster} cannot be used: {why}.' },
  RUNTIME_NONE: {
    status: 409,
    retry: false,
    text: 'Environment {environment} has runtime none: Plinth writes Git only and sees no objects there. {fix}',
  },
  OBJECT_REFUSED: { status: 422, retry: false, text: 'The API server refuses {object}: {why}.' },
  OBJECT_DENIED: {
    status: 403,
    retry: false,
    text: 'A rule of the cluster denies {object}: {why}. Change the object, or have the rule changed; it is tried again every few minutes.',
  },
  QUOTA_EXCEEDED: {
    status: 409,
    retry: true,
    text: 'There is no quota left in the namespace for {object}: {why}. It is tried again every half minute.',
  },
  KIND_MISSING: {
    status: 422,
    retry: false,
    text: 'The API server refuses {object}: the cluster has no {kind}. Install what brings that kind; it is tried again every few minutes.',
  },
  NOT_ALLOWED_NOW: { status: 409, retry: false, text: 'This is not allowed at the moment: {why}.' },
  DEPENDENCY_NOT_READY: { status: 409, retry: true, text: 'The project {why}.' },
  OBJECT_CONFLICT: { status: 409, retry: true, text: 'Somebody else keeps changing {object} at the same time: {why}.' },
  OBJECT_FOREIGN: {
    status: 409,
    retry: false,
    text: '{object} exists and belongs to {owner}; it is neither changed nor deleted.',
  },
  OBJECT_NOT_ALLOWED: { status: 422, retry: false, text: 'Plinth does not apply {object}: {why}.' },
  EVENT_REFUSED: { status: 502, retry: false, text: 'The API server refuses an event with status {status}.' },
  NAMESPACE_TERMINATING: {
    status: 409,
    retry: true,
    text: 'Namespace {namespace} is still being deleted; the project is made anew when it is gone.',
  },
  MANIFESTS_UNKNOWN: {
    status: 409,
    retry: true,
    text: 'manifests.yaml of {team}/{project} is not what publish made of its spec; a rendering commit is on its way.',
  },
  LEASE_LOST: {
    status: 503,
    retry: true,
    text: 'Another replica of the control plane has taken over {name}; this one stopped before it changed anything more.',
  },
} as const satisfies ErrorRows;
