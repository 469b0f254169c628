import type { ErrorRows } from './kind.ts';

/** Projects, their specs and changes. */
export const projectErrors = {
  SPEC_INVALID: { status: 422, retry: false, text: 'The spec is not valid; see findings.' },
  ENVIRONMENT_NOT_FOUND: {
    status: 404,
    retry: false,
    text: 'There is no environment {environment}; there are {known}.',
  },
  PROJECT_NOT_FOUND: { status: 404, retry: false, text: 'There is no project {team}/{project} in {environment}.' },
  CHANGE_NOT_FOUND: { status: 404, retry: false, text: 'There is no change {change}.' },
  CONTAINER_NOT_FOUND: {
    status: 404,
    retry: false,
    text: '{team}/{project} has no log of container {container}: {why}.',
  },
  NOTHING_TO_CONFIRM: {
    status: 404,
    retry: false,
    text: '{team}/{project} in {environment} waits for no confirmation.',
  },
  REVISION_NOT_FOUND: {
    status: 404,
    retry: false,
    text: 'Revision {revision} holds no spec of {team}/{project} in {environment}.',
  },
  SOURCE_REFUSED: {
    status: 422,
    retry: false,
    text: 'What Git has here is not taken up, and everything stays as it was: {why}.',
  },
  PRECONDITION_FAILED: {
    status: 412,
    retry: false,
    text: 'The spec is now {actual}, not {expected}; read it again and send your change on top of that.',
  },
  SWITCH_NOT_FOUND: { status: 404, retry: false, text: '{action} is not switched off for {place} itself.' },
  SWITCH_MOVED: {
    status: 412,
    retry: false,
    text: 'The switch {action} of {place} is now {actual}, not {expected}; read it again and decide on that.',
  },
  CONFIRMATION_WRONG: {
    status: 409,
    retry: false,
    text: 'What would be deleted is not (any more) what you confirmed: {given}; now it is {wanted}.',
  },
  CONFIRMATION_NEEDED: {
    status: 409,
    retry: false,
    text: 'This deletes the namespace and its volumes. Send ?confirm={wanted} to say that you mean it.',
  },
  DEPENDENCY_CIRCLE: {
    status: 409,
    retry: false,
    text: '{project} would wait for itself: {circle}. Take one of these out of its dependsOn.',
  },
  HOST_TAKEN: { status: 409, retry: false, text: 'Host {host} belongs to {owner}.' },
} as const satisfies ErrorRows;
