import type { ErrorRows } from './kind.ts';

/** Secrets and where they are kept. */
export const secretErrors = {
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
} as const satisfies ErrorRows;
