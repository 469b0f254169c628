import { hkdfSync } from 'node:crypto';
import { Secret } from '../secret.ts';
import { secretText } from './parse.ts';
import type { Findings, Parser, Reading, Values } from './setting.ts';
import { setting } from './setting.ts';

const leastLength = 32;
const leastDistinct = 8;
const command = 'openssl rand -base64 32';
const advice = `make one with: ${command}`;

/** Keys that stand in the references and in examples that people copy, in lower case. */
const publicKeys = new Set([
  'dghpcybpcybhihnly3jldcbrzxkgzm9yigrlbw8gchvycg9zzxm',
  'something-really-really-secret-12345',
  '<your-generated-secret>',
  'your-dev-secret-key',
  'your-secret-key',
  'keyboard cat',
]);
/** Words that no generator makes, and everybody who writes an example does. */
const exampleWords =
  /your[-_ ]|change[-_ ]?(me|this|it)|in[-_ ]production|placeholder|example|(super|dev|my|top)[-_ ]?secret|secret[-_ ]?key|password|qwert\w*|abcdefgh\w*|0?123456789\d*/g;
/** So much must be left of a key without them. */
const leastOfOneself = 20;

/** Why this is no key to trust, or undefined. Never says the key. */
function weaknessOf(text: string): string | undefined {
  const folded = text.toLowerCase();
  if (publicKeys.has(folded)) return 'is an example that everybody knows';
  if (text.length < leastLength) return `is shorter than ${leastLength} characters`;
  if (hasPeriod(folded) || new Set(folded).size < leastDistinct) return 'repeats itself';
  const rest = folded.replace(exampleWords, '').replace(/[^a-z0-9]/g, '');
  return rest.length < leastOfOneself ? 'is an example that everybody knows' : undefined;
}

/** Whether the text is a piece of at most half its length again and again, the last time perhaps cut. */
function hasPeriod(text: string): boolean {
  for (let length = 1; length <= text.length / 2; length += 1) if (text.startsWith(text.slice(length))) return true;
  return false;
}

/** A strong key as it is; a weak one is refused in production, and stretched elsewhere so that it has the form of one. */
const signingKey: Parser<Secret> = (text, reading) => {
  const key = secretText(text, reading).reveal();
  const weakness = weaknessOf(key);
  if (weakness === undefined) return new Secret(key);
  if (reading.production) throw new Error(`at least 32 characters that nobody can guess (it ${weakness}); ${advice}`);
  return stretched(key, weakness, reading);
};

/** What came before is never refused: it must still open what it closed. */
const formerSigningKey: Parser<Secret> = (text, reading) => {
  const key = secretText(text, reading).reveal();
  return weaknessOf(key) === undefined ? new Secret(key) : new Secret(stretch(key));
};

function stretched(key: string, weakness: string, reading: Reading): Secret {
  reading.warn(
    `${weakness}: it is stretched by HKDF, which makes nothing secret; production refuses it. For a good one: ${command}`,
  );
  return new Secret(stretch(key));
}

const stretch = (key: string) => Buffer.from(hkdfSync('sha256', key, '', 'plinth SECRET_KEY', 32)).toString('hex');

/** A Fernet key (32 bytes in URL-safe base64) or any text of at least 32 characters. */
const encryptionKey: Parser<Secret> = (text, reading) => {
  const key = secretText(text, reading).reveal();
  const weakness = weaknessOf(key);
  if (weakness === undefined) return new Secret(key);
  if (reading.production || key.length < leastLength)
    throw new Error(`a Fernet key, or at least 32 characters that nobody can guess (it ${weakness}); ${advice}`);
  reading.warn(`${weakness}; production refuses it. For a good one: ${command}`);
  return new Secret(key);
};

const formerEncryptionKey: Parser<Secret> = (text, reading) => {
  const key = secretText(text, reading);
  if (key.reveal().length < leastLength) throw new Error('a Fernet key, or at least 32 characters');
  return key;
};

/** What sessions are signed and stored secrets encrypted with. */
export const keyRows = {
  secretKey: setting({
    names: ['SECRET_KEY', 'AUTH_SECRET', 'ARCHESTRA_AUTH_SECRET'],
    about: `Signs sessions, and encrypts stored secrets where DEPLOYMENT_ENCRYPTION_KEY is not set. At least 32 characters; ${advice}.`,
    unset: 'generated once into DATA_DIR; required in production with an external database',
    secret: true,
    read: signingKey,
  }),
  secretKeyPrevious: setting({
    names: ['SECRET_KEY_PREVIOUS'],
    about: 'The SECRET_KEY before this one: what it encrypted is read, and encrypted anew.',
    unset: 'none',
    secret: true,
    read: formerSigningKey,
  }),
  deploymentEncryptionKey: setting({
    names: ['DEPLOYMENT_ENCRYPTION_KEY'],
    about: 'Encrypts stored secrets: a Fernet key (32 bytes in URL-safe base64) or any text of at least 32 characters.',
    unset: 'derived from SECRET_KEY by HKDF',
    secret: true,
    read: encryptionKey,
  }),
  deploymentEncryptionKeyPrevious: setting({
    names: ['DEPLOYMENT_ENCRYPTION_KEY_PREVIOUS'],
    about: 'The DEPLOYMENT_ENCRYPTION_KEY before this one: what it encrypted is read, and encrypted anew.',
    unset: 'none',
    secret: true,
    read: formerEncryptionKey,
  }),
};

/** With an external database in production the key is named: a machine that is replaced must not take it along. */
export function checkKeys(
  { secretKey }: Values<typeof keyRows>,
  { hasExternalDatabase }: { readonly hasExternalDatabase: boolean },
  findings: Findings,
): void {
  if (findings.production && hasExternalDatabase && secretKey === undefined)
    findings.fault(
      ['secretKey'],
      `SECRET_KEY is not set; it is required in production with an external database, since a generated one would be lost with this machine; ${advice}`,
    );
}
