import type { ErrorRows } from './kind.ts';

/** The state repository. */
export const gitErrors = {
  REVISION_UNKNOWN: { status: 404, retry: false, text: 'There is no revision {revision}.' },
  GIT_PROTOCOL_UNKNOWN: {
    status: 403,
    retry: false,
    text: 'Only the smart HTTP protocol of git is served here; use a git client.',
  },
  REVISION_MOVED: { status: 409, retry: true, text: 'Branch {branch} moved from {expected} while it was written.' },
  PATH_INVALID: { status: 422, retry: false, text: 'Path {path} cannot be in the state repository: {why}.' },
  REMOTE_UNAVAILABLE: {
    status: 503,
    retry: true,
    text: 'The remote {url} of the state repository cannot be reached: {why}.',
  },
  REMOTE_REFUSED: {
    status: 503,
    retry: true,
    text: 'The remote {url} of the state repository refuses Plinth: {why}. {fix}.',
  },
  REMOTE_UNTRUSTED: {
    status: 503,
    retry: true,
    text: 'The remote {url} of the state repository is not the host that it should be: {why}. {fix}.',
  },
  REMOTE_UNUSABLE: {
    status: 503,
    retry: true,
    text: 'The remote {url} of the state repository cannot be followed: {why}. {fix}.',
  },
  REMOTE_MIXED: {
    status: 500,
    retry: false,
    text: '{directory} belongs to {present}, and the settings name {wanted}. {fix}.',
  },
  REMOTE_ELSEWHERE: {
    status: 403,
    retry: false,
    text: 'This is a mirror that takes no pushes; push to {url}, and it follows.',
  },
  REPOSITORY_UNAVAILABLE: { status: 503, retry: true, text: 'The state repository cannot be used: {why}.' },
  REVISION_UNSIGNED: {
    status: 409,
    retry: false,
    text: '{path} came by commit {revision}, which does not count here: {why}. Sign it with a key of signatures.keys in environment.yaml and commit it anew, or let an administrator accept the revision.',
  },
  PUSH_TOO_LONG: {
    status: 422,
    retry: false,
    text: 'A push of more than {most} commits cannot be checked here; push it in parts.',
  },
  PUSH_STEP_TOO_LARGE: {
    status: 422,
    retry: false,
    text: 'Commit {revision} cannot be checked here: it changes more than {most} paths, or a folder that is too large to be read.',
  },
  REVISION_NOT_ON_BRANCH: {
    status: 422,
    retry: false,
    text: 'Revision {revision} is not on the branch; give the full id of a commit that the newest one descends from.',
  },
} as const satisfies ErrorRows;
