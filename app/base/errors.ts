/**
 * The closed list of everything that can go wrong on purpose. A row says the HTTP status, whether trying again can
 * help, and the sentence a person reads; `{name}` is filled from the fault's data. The reference page is made from it.
 */
export interface ErrorKind {
  readonly status: number;
  /** true: the same request may succeed later without being changed; loops try again. false: final. */
  readonly retry: boolean;
  readonly text: string;
}

export const errorKinds = {
  BODY_INVALID: { status: 400, retry: false, text: 'The request body cannot be read: {why}.' },
  REQUEST_INVALID: { status: 400, retry: false, text: 'The request is not valid; see findings.' },
  SPEC_INVALID: { status: 422, retry: false, text: 'The spec is not valid; see findings.' },
  CREDENTIALS_MISSING: {
    status: 401,
    retry: false,
    text: 'Sign in first: send Authorization: Bearer <token>, or Basic with e-mail and password.',
  },
  CREDENTIALS_WRONG: { status: 401, retry: false, text: 'These credentials are not known here.' },
  BASIC_FROM_BROWSER: {
    status: 403,
    retry: false,
    text: 'HTTP Basic is refused for requests that a web page sends; use a token.',
  },
  FORBIDDEN: { status: 403, retry: false, text: '{actor} may not {permission} here.' },
  ROUTE_UNKNOWN: {
    status: 404,
    retry: false,
    text: 'There is no {method} {path}. GET /openapi.json lists every route.',
  },
  ENVIRONMENT_NOT_FOUND: {
    status: 404,
    retry: false,
    text: 'There is no environment {environment}; there are {known}.',
  },
  PROJECT_NOT_FOUND: {
    status: 404,
    retry: false,
    text: 'There is no project {team}/{project} in {environment}.',
  },
  TOKEN_NOT_FOUND: { status: 404, retry: false, text: 'There is no token {token} of yours.' },
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
  REVISION_UNKNOWN: { status: 404, retry: false, text: 'There is no revision {revision}.' },
  METHOD_UNKNOWN: { status: 405, retry: false, text: '{path} has no {method}; it has {allowed}.' },
  PRECONDITION_FAILED: {
    status: 412,
    retry: false,
    text: 'The spec is now {actual}, not {expected}; read it again and send your change on top of that.',
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
  HOST_TAKEN: { status: 409, retry: false, text: 'Host {host} belongs to {owner}.' },
  TEAM_FULL: {
    status: 409,
    retry: false,
    text: 'Team {team} has {count} projects in {environment}; the most is {most}.',
  },
  BODY_TOO_LARGE: { status: 413, retry: false, text: 'The body is larger than {limitBytes} bytes.' },
  REQUEST_TOO_SLOW: { status: 408, retry: true, text: 'The request did not come completely in time.' },
  REQUEST_UNREADABLE: { status: 400, retry: false, text: 'This is not HTTP/1.1 as RFC 9112 has it.' },
  HEAD_TOO_LARGE: { status: 431, retry: false, text: 'The head of the request is larger than {limitBytes} bytes.' },
  MEDIA_TYPE_UNKNOWN: { status: 415, retry: false, text: 'Content-Type {came} is not one of {wanted}.' },
  ENCODING_UNKNOWN: { status: 415, retry: false, text: 'Content-Encoding {came} is not one of {wanted}.' },
  TOO_MANY_REQUESTS: { status: 429, retry: true, text: 'Too many requests; try again in {seconds} s.' },
  SIGN_IN_LIMITED: {
    status: 429,
    retry: true,
    text: 'Too many failed sign-ins {what}; try again in {seconds} s. A token that is valid still works.',
  },
  SECRET_NOT_ALLOWED: {
    status: 422,
    retry: false,
    text: 'Secret {secret} does not exist for this project. Set it with PUT …/secrets/{secret} first, or remove it.',
  },
  SECRET_NOT_FOUND: { status: 404, retry: false, text: 'There is no secret {secret} here.' },
  SECRET_GENERATED: {
    status: 409,
    retry: false,
    text: 'Secret {secret} was made by Plinth, and the data of {team}/{project} knows it: another value would lock its users out. It is neither changed nor deleted.',
  },
  SECRET_UNREADABLE: {
    status: 500,
    retry: false,
    text: 'Secret {secret} cannot be decrypted with the present key {key}.',
  },
  GIT_PROTOCOL_UNKNOWN: {
    status: 403,
    retry: false,
    text: 'Only the smart HTTP protocol of git is served here; use a git client.',
  },
  REVISION_MOVED: { status: 409, retry: true, text: 'Branch {branch} moved from {expected} while it was written.' },
  PATH_INVALID: { status: 422, retry: false, text: 'Path {path} cannot be in the state repository: {why}.' },
  REPOSITORY_UNAVAILABLE: { status: 503, retry: true, text: 'The state repository cannot be used: {why}.' },
  DATABASE_UNAVAILABLE: { status: 503, retry: true, text: 'The database cannot be reached: {why}.' },
  DATABASE_START_FAILED: { status: 500, retry: false, text: 'The embedded PostgreSQL does not start: {why}.' },
  MIGRATION_CHANGED: {
    status: 500,
    retry: false,
    text: 'Migration {name} is not the one that was applied to this database on {appliedAt}. Bring the file back; changes go into a new one.',
  },
  MIGRATION_UNKNOWN: {
    status: 500,
    retry: false,
    text: 'This database has migration {name}, which this version of Plinth does not know. Start the version that made it, or a newer one.',
  },
  MIGRATION_FAILED: { status: 500, retry: false, text: 'Migration {name} cannot be applied: {why}.' },
  RUNTIME_UNAVAILABLE: { status: 503, retry: true, text: 'Cluster {cluster} cannot be used: {why}.' },
  RUNTIME_NONE: {
    status: 409,
    retry: false,
    text: 'Environment {environment} has runtime none: Plinth writes Git only and sees no objects there. {fix}',
  },
  OBJECT_REFUSED: { status: 422, retry: false, text: 'The API server refuses {object}: {why}.' },
  OBJECT_CONFLICT: {
    status: 409,
    retry: true,
    text: 'Somebody else keeps changing {object} at the same time: {why}.',
  },
  OBJECT_FOREIGN: {
    status: 409,
    retry: false,
    text: '{object} exists and belongs to {owner}; it is neither changed nor deleted.',
  },
  OBJECT_NOT_ALLOWED: { status: 422, retry: false, text: 'Plinth does not apply {object}: {why}.' },
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
  DATA_DIR_IN_USE: {
    status: 500,
    retry: false,
    text: 'Data directory {directory} is in use by process {pid}. Stop it, or choose another DATA_DIR.',
  },
  INSTALLATION_MIXED: {
    status: 500,
    retry: false,
    text: 'The state repository is of installation {git}, the database of {database}. Restore the pair that belongs together.',
  },
  CONFIG_INVALID: { status: 500, retry: false, text: 'The settings are not valid:\n{faults}' },
  PORT_TAKEN: { status: 500, retry: false, text: 'Port {port} on {host} is taken. Set {setting} to another one.' },
  DISK_FULL: { status: 507, retry: true, text: 'No space is left on the disk of {directory}.' },
  STOPPING: { status: 503, retry: true, text: 'The control plane is stopping.' },
  INTERNAL: {
    status: 500,
    retry: false,
    text: 'Something unforeseen happened. The log has it under request {request}.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

/** An error of the list. `data` is shown to the caller, so it never holds a secret; `cause` is only logged. */
export class Fault extends Error {
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, data: Record<string, unknown> = {}, options?: { cause?: unknown }) {
    super(fill(errorKinds[code].text, data), options);
    this.name = 'Fault';
    this.code = code;
    this.data = data;
  }

  get status(): number {
    return errorKinds[this.code].status;
  }

  get retry(): boolean {
    return errorKinds[this.code].retry;
  }

  static is(error: unknown, code?: ErrorCode): error is Fault {
    return error instanceof Fault && (code === undefined || error.code === code);
  }
}

function fill(text: string, data: Record<string, unknown>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = data[name];
    if (value === undefined) return whole;
    return Array.isArray(value) ? value.join(', ') : String(value);
  });
}
