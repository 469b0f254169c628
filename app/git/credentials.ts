import { createSign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent, fetch } from 'undici';
import { z } from 'zod';
import type { Clock } from '#base/clock.ts';
import type { StateRemote } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';

/** What signs in over HTTPS: at Git and at the host's API alike. */
export interface SignIn {
  readonly username: string;
  readonly password: Secret;
}

/** The credential of a remote as it is now; one that ends is renewed before its end. */
export interface RemoteCredentials {
  /**
   * Undefined: there is none for HTTPS.
   * @throws Fault REMOTE_UNAVAILABLE | REMOTE_REFUSED where a new one cannot be had, without a credential in it
   */
  signIn(): Promise<SignIn | undefined>;
  /** The host refused the last one. True: the next one is a new one, and trying again may help. */
  wasRefused(): boolean;
}

const mintTimeoutMs = 15_000;
/** A token of a GitHub App lives for an hour; so long before its end a new one is taken. */
const renewBeforeMs = 5 * 60_000;
/** GitHub's clock and ours may differ a little; it takes no more than ten minutes. */
const claimFromS = -60;
const claimToS = 540;

const minted = z.object({ token: z.string().min(1), expires_at: z.iso.datetime({ offset: true }) });

/** The credential that the settings name; of a GitHub App, tokens that are made when they are needed. */
export function createRemoteCredentials(remote: StateRemote, clock: Clock): RemoteCredentials {
  const { credential } = remote;
  let held: { readonly token: Secret; readonly untilMs: number } | undefined;
  let minting: Promise<Secret> | undefined;

  const mintOnce = async (): Promise<Secret> => {
    if (held !== undefined && held.untilMs > clock.now().getTime()) return held.token;
    minting ??= mint(remote, clock)
      .then((made) => {
        held = made;
        return made.token;
      })
      .finally(() => {
        minting = undefined;
      });
    return await minting;
  };

  return {
    signIn: async () => {
      if (credential.kind === 'token') return { username: credential.username, password: credential.token };
      if (credential.kind === 'github-app') return { username: 'x-access-token', password: await mintOnce() };
      return undefined;
    },
    wasRefused: () => {
      const renewable = held !== undefined;
      held = undefined;
      return renewable;
    },
  };
}

async function mint(remote: StateRemote, clock: Clock): Promise<{ token: Secret; untilMs: number }> {
  const { url, credential, caFile } = remote;
  if (credential.kind !== 'github-app') throw new TypeError('only a GitHub App makes tokens');
  const address = `${credential.apiUrl}/app/installations/${encodeURIComponent(credential.installationId)}/access_tokens`;
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  const dispatcher = new Agent({ connect: { ca } });
  try {
    const answer = await fetch(address, {
      method: 'POST',
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${claim(credential, clock.now())}`,
        'user-agent': 'plinth',
        'x-github-api-version': '2022-11-28',
      },
      // What it answers is a credential, and what it was asked with is one: neither goes anywhere else.
      redirect: 'error',
      signal: AbortSignal.timeout(mintTimeoutMs),
      dispatcher,
    });
    const body: unknown = await answer.json().catch(() => undefined);
    const read = minted.safeParse(body);
    if (answer.status === 201 && read.success) {
      const untilMs = Date.parse(read.data.expires_at) - renewBeforeMs;
      return { token: new Secret(read.data.token), untilMs };
    }
    if (answer.status >= 500 || answer.status === 429)
      throw new Fault('REMOTE_UNAVAILABLE', { url, why: `its API answers ${answer.status} when asked for a token` });
    throw new Fault('REMOTE_REFUSED', {
      url,
      why: `its API answers ${answer.status} when asked for a token of the GitHub App`,
      fix: 'Compare STATE_REPOSITORY_GITHUB_APP_ID, _INSTALLATION_ID and _KEY with what GitHub shows, and see that the App is installed on the repository',
    });
  } catch (error) {
    if (Fault.is(error)) throw error;
    const why = `its API ${new URL(credential.apiUrl).host} cannot be asked for a token`;
    throw new Fault('REMOTE_UNAVAILABLE', { url, why }, { cause: plainCause(error) });
  } finally {
    await dispatcher.close().catch(() => {});
  }
}

/** The App's proof of who it is: a JWT signed with RS256. */
function claim({ appId, key }: { readonly appId: string; readonly key: Secret }, now: Date): string {
  const nowS = Math.floor(now.getTime() / 1000);
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iat: nowS + claimFromS, exp: nowS + claimToS, iss: appId })}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key.reveal(), 'base64url')}`;
}

/** The reason alone: an error of the client may hold the request, with its headers. */
const plainCause = (error: unknown): string => {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
};
