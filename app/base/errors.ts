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
  ORIGIN_REFUSED: {
    status: 403,
    retry: false,
    text: 'A page of {source} may not send this request. Open the page of Plinth itself; if this origin is yours, name it in AUTH_ADDITIONAL_TRUSTED_ORIGINS.',
  },
  HOST_MISDIRECTED: {
    status: 421,
    retry: false,
    text: 'Host {host} belongs to a project; the control plane does not answer for it.',
  },
  HOST_AMBIGUOUS: { status: 400, retry: false, text: 'A request names one host, in Host and target alike.' },
  PASSWORD_SIGN_IN_OFF: {
    status: 403,
    retry: false,
    text: 'Passwords are turned off here (AUTH_DISABLE_BASIC_AUTH). Sign in with an identity provider; programs send a token.',
  },
  SECOND_FACTOR_DUE: {
    status: 401,
    retry: false,
    text: 'A second factor is still due: verify a code first, or sign out.',
  },
  SECOND_FACTOR_BY_BASIC: {
    status: 403,
    retry: false,
    text: 'This account has a second factor, which HTTP Basic cannot carry: send a token in the place of the password.',
  },
  CODE_WRONG: { status: 401, retry: false, text: 'This code is wrong, used or too old.' },
  ACCOUNT_DISABLED: { status: 403, retry: false, text: 'This account is disabled. Ask an administrator.' },
  REGISTRATION_CLOSED: {
    status: 403,
    retry: false,
    text: 'Nobody can register here (AUTH_ALLOW_REGISTRATION). Ask an administrator for an account.',
  },
  LINK_INVALID: { status: 400, retry: false, text: 'This link is wrong, used or too old. Ask for a new one.' },
  PASSWORD_WEAK: { status: 422, retry: false, text: 'Choose another password: {why}.' },
  MAIL_ADDRESS_INVALID: { status: 422, retry: false, text: 'This is no address that a mail can be sent to.' },
  MAIL_OFF: {
    status: 409,
    retry: false,
    text: 'No mail can be sent from here: an administrator sets SMTP_HOST and SMTP_SENDER_EMAIL.',
  },
  SECOND_FACTOR_ON: {
    status: 409,
    retry: false,
    text: 'An authenticator app is set up already. Turn it off first, with one of its codes.',
  },
  SECOND_FACTOR_OWN: { status: 409, retry: false, text: 'Turn your own second factor off with one of its codes.' },
  SECOND_FACTOR_OFF: { status: 409, retry: false, text: 'There is no second factor of this kind to use: {why}.' },
  IDENTITY_STATE_UNKNOWN: {
    status: 400,
    retry: false,
    text: 'This sign-in was not begun in this browser, took longer than ten minutes, or was used already. Begin again.',
  },
  IDENTITY_ANSWER_INVALID: { status: 401, retry: false, text: 'The answer of {provider} is not accepted: {why}.' },
  IDENTITY_REFUSED: { status: 403, retry: false, text: 'The identity provider did not sign you in.' },
  IDENTITY_EMAIL_UNVERIFIED: {
    status: 403,
    retry: false,
    text: 'The identity provider gives no e-mail address of yours that it has verified.',
  },
  IDENTITY_DOMAIN: {
    status: 403,
    retry: false,
    text: 'People of your domain may not sign in with this identity provider.',
  },
  IDENTITY_UNKNOWN: {
    status: 403,
    retry: false,
    text: 'You have no account here, and this identity provider makes none. Ask an administrator for one.',
  },
  IDENTITY_DENIED: {
    status: 403,
    retry: false,
    text: 'Nothing that the identity provider says of you gives you a role here. Ask an administrator.',
  },
  IDENTITY_CLAIMS_TOO_LARGE: {
    status: 422,
    retry: false,
    text: 'The claims hold {what}. Let the identity provider send fewer of them, such as only the groups that matter here.',
  },
  IDENTITY_MAPPING_TOO_COSTLY: {
    status: 422,
    retry: false,
    text: 'Mapping roles and groups takes more than {steps} steps over these claims, or prints too much. Write fewer or simpler expressions, or let the identity provider send fewer groups.',
  },
  IDENTITY_LINKED_OTHERWISE: {
    status: 403,
    retry: false,
    text: 'Your account here belongs to another account of this identity provider. An administrator can remove that link.',
  },
  FORBIDDEN: { status: 403, retry: false, text: '{actor} may not {permission} here.' },
  GRANT_BEYOND_OWN: { status: 403, retry: false, text: 'Nobody grants what they do not hold. You lack: {missing}.' },
  CSRF_TOKEN_WRONG: {
    status: 403,
    retry: false,
    text: 'The CSRF token of this session is missing or wrong. Send it as X-CSRF-Token, or load the page again.',
  },
  INVITATIONS_OFF: {
    status: 403,
    retry: false,
    text: 'Invitations are turned off here (AUTH_DISABLE_INVITATIONS). Ask an administrator for an account.',
  },
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
  PROJECT_NOT_FOUND: { status: 404, retry: false, text: 'There is no project {team}/{project} in {environment}.' },
  TOKEN_NOT_FOUND: { status: 404, retry: false, text: 'There is no token {token} of yours.' },
  SESSION_NOT_FOUND: { status: 404, retry: false, text: 'There is no session {session} of yours.' },
  PERSON_NOT_FOUND: { status: 404, retry: false, text: 'There is no person {person}.' },
  TEAM_NOT_FOUND: { status: 404, retry: false, text: 'There is no team {team}.' },
  MEMBER_NOT_FOUND: { status: 404, retry: false, text: '{person} is not in team {team}.' },
  ROLE_NOT_FOUND: { status: 404, retry: false, text: 'There is no role {role}; there are {known}.' },
  INVITATION_NOT_FOUND: { status: 404, retry: false, text: 'There is no invitation {invitation} that waits.' },
  SERVICE_ACCOUNT_NOT_FOUND: { status: 404, retry: false, text: 'There is no service account {account}.' },
  IDENTITY_PROVIDER_NOT_FOUND: { status: 404, retry: false, text: 'There is no identity provider {provider}.' },
  IDENTITY_LINK_NOT_FOUND: { status: 404, retry: false, text: '{email} is not linked to an account of {provider}.' },
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
  PERSON_EXISTS: { status: 409, retry: false, text: '{email} has an account already.' },
  SERVICE_ACCOUNT_EXISTS: { status: 409, retry: false, text: 'There is a service account {name} already.' },
  IDENTITY_PROVIDER_EXISTS: { status: 409, retry: false, text: 'There is an identity provider {provider} already.' },
  IDENTITY_PROVIDER_FIXED: {
    status: 409,
    retry: false,
    text: 'Identity provider {provider} comes from the settings; change it there.',
  },
  LAST_ADMINISTRATOR: {
    status: 409,
    retry: false,
    text: '{email} is the last active administrator. Make somebody else administrator first.',
  },
  TEAM_IN_USE: { status: 409, retry: false, text: 'Team {team} still owns {left}; delete these first.' },
  ROLE_BUILT_IN: {
    status: 409,
    retry: false,
    text: 'Role {role} belongs to every installation and cannot be changed; make another one beside it.',
  },
  ROLE_IN_USE: {
    status: 409,
    retry: false,
    text: 'Role {role} is still given to {holders}; give them another one first.',
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
    text: 'Secret {secret} cannot be decrypted: it was encrypted with key {key}, which is not here, or it was changed since.',
  },
  SECRET_KEYS_WRONG: {
    status: 500,
    retry: false,
    text: '{values} stored secret values were encrypted under other keys than the ones given. Wanted: {wanted}; given: {given}. Nothing was changed. Look at {settings}.',
  },
  SECRETS_UNAVAILABLE: { status: 503, retry: true, text: 'Vault cannot be asked for secrets: {why}.' },
  SECRET_INLINE_REFUSED: {
    status: 422,
    retry: false,
    text: 'Values are not taken here, since Plinth only reads Vault (SECRETS_MANAGER=READONLY_VAULT). Write the value into Vault and send vault: { path, key } in place of value.',
  },
  SECRET_IN_VAULT_ONLY: {
    status: 422,
    retry: false,
    text: 'Secret {secret} stands in Vault, and there is no Vault here (SECRETS_MANAGER). Send a value, or set up Vault.',
  },
  VAULT_PATH_REFUSED: { status: 422, retry: false, text: 'Path {path} of Vault cannot be used here: {why}.' },
  VAULT_FOLDER_NOT_FOUND: { status: 404, retry: false, text: 'Team {team} is bound to no folder of Vault.' },
  VAULT_VALUE_MISSING: {
    status: 422,
    retry: false,
    text: 'Vault has no field {key} at {path}, where {secret} points to: {why}.',
  },
  VAULT_UNUSABLE: {
    status: 500,
    retry: false,
    text: 'Vault at {address} cannot be used: {why}. Secrets are kept nowhere else unless SECRETS_FALLBACK=DB says so.',
  },
  SECOND_FACTOR_UNREADABLE: {
    status: 500,
    retry: false,
    text: 'The second factor of this account cannot be decrypted with the keys that are here. An administrator takes it away, or the former key comes back.',
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
  DATABASE_UNREACHABLE: {
    status: 503,
    retry: true,
    text: 'The database {database} at {host}, port {port}, cannot be reached; it was tried for {seconds} s: {why}. Start it, or correct {setting}. No other database is used in its place.',
  },
  DATABASE_REFUSED: {
    status: 500,
    retry: false,
    text: 'The database {database} at {host}, port {port}, cannot be used: {why}. {fix}',
  },
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
  IDENTITY_PROVIDER_UNAVAILABLE: {
    status: 503,
    retry: true,
    text: 'Identity provider {provider} cannot be used: {why}.',
  },
  RUNTIME_UNAVAILABLE: { status: 503, retry: true, text: 'Cluster {cluster} cannot be used: {why}.' },
  RUNTIME_NONE: {
    status: 409,
    retry: false,
    text: 'Environment {environment} has runtime none: Plinth writes Git only and sees no objects there. {fix}',
  },
  OBJECT_REFUSED: { status: 422, retry: false, text: 'The API server refuses {object}: {why}.' },
  OBJECT_CONFLICT: { status: 409, retry: true, text: 'Somebody else keeps changing {object} at the same time: {why}.' },
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
  DATA_DIR_UNUSABLE: { status: 500, retry: false, text: 'Data directory {directory} cannot be made: {why}.' },
  INSTALLATION_MIXED: {
    status: 500,
    retry: false,
    text: 'The state repository is of installation {git}, the database of {database}. Restore the pair that belongs together.',
  },
  CONFIG_INVALID: { status: 500, retry: false, text: 'The settings are not valid:\n{faults}' },
  PORT_TAKEN: { status: 500, retry: false, text: 'Port {port} on {host} is taken. Set {setting} to another one.' },
  DISK_FULL: { status: 507, retry: true, text: 'No space is left on the disk of {directory}.' },
  AUDIT_UNAVAILABLE: {
    status: 503,
    retry: true,
    text: 'What was asked cannot be recorded in the audit, so it is not confirmed; it may have been done. Try again.',
  },
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
