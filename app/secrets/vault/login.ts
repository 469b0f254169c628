import { readFile } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import type { VaultAccess } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import { Secret } from '#base/secret.ts';
import { complaint, unavailable, type VaultAnswer, type VaultClient, type VaultRequest } from './client.ts';

/** How Plinth shows Vault who it is. */
export type VaultAuth = VaultAccess['auth'];

/** Vault with a token that is kept alive. */
export interface VaultSession {
  /** As the client's, with the token; signs in again where Vault does not know the token any more. */
  ask(request: Omit<VaultRequest, 'token'>): Promise<VaultAnswer>;
  stop(): Promise<void>;
}

interface Lease {
  readonly token: Secret;
  readonly renewable: boolean;
  /** On the monotonic clock; undefined: never. */
  readonly endsAtMs: number | undefined;
}

export interface SessionOptions {
  readonly client: VaultClient;
  readonly auth: VaultAuth;
  readonly clock: Clock;
  readonly log: Log;
}

/** Nothing else to wait for: looks again whether a token has got an end. */
const idleMs = 60_000;
/** Sooner than this nothing is renewed, however short a lease is. */
const leastPauseMs = 200;

/**
 * Signs in and keeps the token alive in the background: renewed after half of its time, made anew where that is
 * refused.
 * @throws Fault SECRETS_UNAVAILABLE
 */
export async function openSession(options: SessionOptions): Promise<VaultSession> {
  const { client, auth, clock, log } = options;
  let lease = await signIn(options);
  let again: Promise<void> | undefined;
  /** Many who find the token dead sign in once. */
  const signInAgain = () => {
    again ??= signIn(options)
      .then((made) => {
        lease = made;
        log.info({ method: auth.method }, 'signed in to Vault again');
      })
      .finally(() => {
        again = undefined;
      });
    return again;
  };

  const loop = startLoop({
    name: 'vault-token',
    log,
    clock,
    everyMs: idleMs,
    run: async (signal) => {
      const { endsAtMs } = lease;
      if (endsAtMs === undefined) return 'idle';
      const leftMs = endsAtMs - clock.monotonicMs();
      if (leftMs > 0) await clock.sleep(Math.max(leastPauseMs, leftMs / 2), signal);
      const renewed = lease.renewable ? await renew(client, lease, clock) : undefined;
      if (renewed !== undefined) lease = renewed;
      else if (auth.method === 'kubernetes') await signInAgain();
      else report(log, lease, clock);
      return leftMs > 0 || lease.endsAtMs !== endsAtMs ? 'again' : 'idle';
    },
  });

  return {
    ask: async (request) => {
      const { token } = lease;
      const answer = await client.ask({ ...request, token });
      if (answer.status !== 403 || auth.method === 'token') return answer;
      // Either the token is dead or the policy says no; only Vault knows which.
      if (lease.token === token && (await isAlive(client, token))) return answer;
      if (lease.token === token) await signInAgain();
      return client.ask({ ...request, token: lease.token });
    },
    stop: () => loop.stop(),
  };
}

async function signIn({ client, auth, clock }: SessionOptions): Promise<Lease> {
  if (auth.method === 'token') return lookUp(client, auth.token, clock);
  const jwt = await readFile(auth.tokenPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw unavailable(`the service account's token ${auth.tokenPath} cannot be read (${error.code})`, error);
  });
  const what = `signing in to auth/${auth.mountPoint} as role ${auth.role}`;
  const path = `auth/${auth.mountPoint}/login`;
  const answer = await client.ask({ method: 'POST', path, body: { role: auth.role, jwt: jwt.trim() }, what });
  const made = answer.body.auth as { client_token?: unknown; renewable?: unknown; lease_duration?: unknown } | null;
  if (answer.status !== 200 || typeof made?.client_token !== 'string')
    throw unavailable(`${what} was refused: ${complaint(answer)}`);
  return leaseOf(new Secret(made.client_token), made.renewable, made.lease_duration, clock);
}

async function lookUp(client: VaultClient, token: Secret, clock: Clock): Promise<Lease> {
  const what = 'looking up the token';
  const answer = await client.ask({ method: 'GET', path: 'auth/token/lookup-self', token, what });
  if (answer.status !== 200)
    throw unavailable(
      `the token was refused (${complaint(answer)}): it is wrong, has ended, or lacks the policy "default"`,
    );
  const data = answer.body.data as { renewable?: unknown; ttl?: unknown } | undefined;
  return leaseOf(token, data?.renewable, data?.ttl, clock);
}

/** undefined: Vault does not renew it any more. */
async function renew(client: VaultClient, { token }: Lease, clock: Clock): Promise<Lease | undefined> {
  const what = 'renewing the token';
  const answer = await client.ask({ method: 'POST', path: 'auth/token/renew-self', token, body: {}, what });
  if (answer.status !== 200) return undefined;
  const made = answer.body.auth as { renewable?: unknown; lease_duration?: unknown } | undefined;
  const lease = leaseOf(token, made?.renewable, made?.lease_duration, clock);
  // At the end of its longest life a renewal gives next to nothing: then it is time for another one.
  const isLonger = lease.endsAtMs === undefined || lease.endsAtMs - clock.monotonicMs() > 2 * leastPauseMs;
  return isLonger ? lease : undefined;
}

function leaseOf(token: Secret, renewable: unknown, seconds: unknown, clock: Clock): Lease {
  const lives = typeof seconds === 'number' && seconds > 0;
  return {
    token,
    renewable: renewable === true,
    endsAtMs: lives ? clock.monotonicMs() + seconds * 1000 : undefined,
  };
}

async function isAlive(client: VaultClient, token: Secret): Promise<boolean> {
  const what = 'looking up the token';
  return (await client.ask({ method: 'GET', path: 'auth/token/lookup-self', token, what })).status === 200;
}

/** A given token that cannot be renewed: a person must bring another one. */
function report(log: Log, { endsAtMs }: Lease, clock: Clock): void {
  const seconds = Math.ceil(((endsAtMs ?? 0) - clock.monotonicMs()) / 1000);
  const err = new Fault('SECRETS_UNAVAILABLE', { why: 'the token can no longer be renewed' });
  if (seconds > 0) log.warn({ err, seconds }, 'the token for Vault ends soon; set another HASHICORP_VAULT_TOKEN');
  else log.error({ err }, 'the token for Vault has ended; set another HASHICORP_VAULT_TOKEN');
}
