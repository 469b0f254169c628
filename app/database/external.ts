import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { type Connection, clientConfig, type Tls } from './connection.ts';
import { checkServer, hasNoTls, isProtocolFault, refusalOf } from './external-server.ts';
import { type ExternalAddress, readExternalUrl } from './external-url.ts';
import { databaseFault } from './faults.ts';

export interface ExternalOptions {
  readonly url: Secret;
  readonly log: Log;
  readonly clock: Clock;
  /** The setting that the address came from, as faults name it. Default DATABASE_URL. */
  readonly setting?: string;
  /** How long a server that does not answer is waited for. Default 60 s. */
  readonly limitMs?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
}

const standardLimitMs = 60_000;
/** One try: the name, the way, TLS, the sign-in, and one question. */
const answerMs = 10_000;
const firstPauseMs = 100;
const mostPauseMs = 2_000;
const sayEveryMs = 10_000;

/**
 * Waits until the configured server answers, and makes sure that it can be worked with: its version, that it takes
 * writes, and that our user may make tables there. What waiting may mend is waited for; what a person must mend is said
 * at once. There is never another database in its place.
 *
 * The server is spoken to directly, or through a pooler in session mode that passes settings of the session on. In
 * transaction mode a pooler delivers no notices and forgets statements that are planned once for a session.
 *
 * @throws Fault CONFIG_INVALID for the address, DATABASE_UNREACHABLE after `limitMs`, DATABASE_REFUSED
 */
export async function connectExternal(options: ExternalOptions): Promise<Connection> {
  const { log, clock, signal, setting = 'DATABASE_URL', limitMs = standardLimitMs } = options;
  const address = readExternalUrl(options.url, setting);
  if (address.ignored.length > 0) log.warn({ setting, parameters: address.ignored }, 'unknown parameters are ignored');
  const candidates = await candidatesOf(address, setting);
  const { host, port, database } = address.connection;
  const beganMs = clock.monotonicMs();
  let saidMs = Number.NEGATIVE_INFINITY;
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    const outcome = await tryAll(candidates, { setting, limitMs: Math.min(answerMs, limitMs), signal });
    const ms = clock.monotonicMs() - beganMs;
    if ('connection' in outcome) {
      if (tries > 1) log.info({ host, port, database, ms: Math.round(ms) }, 'the database answers');
      return outcome.connection;
    }
    const { why } = outcome;
    if (ms >= limitMs)
      throw new Fault('DATABASE_UNREACHABLE', { host, port, database, why, seconds: Math.round(ms / 1000), setting });
    if (clock.monotonicMs() - saidMs >= sayEveryMs) {
      saidMs = clock.monotonicMs();
      const seconds = Math.ceil((limitMs - ms) / 1000);
      log.warn({ host, port, database, reason: why, seconds }, 'the database does not answer; it is tried again');
    }
    const pauseMs = Math.min(mostPauseMs, firstPauseMs * 2 ** tries, limitMs - ms);
    await clock.sleep(pauseMs, signal).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw error;
    });
  }
}

/**
 * The ways to take, the best first: where TLS is only preferred, a server without it is spoken to plainly.
 * @throws Fault CONFIG_INVALID when a certificate cannot be read, or one is missing that the mode needs
 */
async function candidatesOf(address: ExternalAddress, setting: string): Promise<readonly Connection[]> {
  const { connection: plain, sslMode } = address;
  if (sslMode === 'disable') return [plain];
  const refuse = (why: string) => new Fault('CONFIG_INVALID', { faults: `  - ${setting} ${why}` });
  const read = async (parameter: string, path: string | undefined) => {
    if (path === undefined) return undefined;
    return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw refuse(`names ${path} as ${parameter}, which cannot be read: ${error.code}`);
    });
  };
  // libpq's word for the certificates that the system, here Node, knows.
  const isOwn = address.rootCertificate !== undefined && address.rootCertificate !== 'system';
  const ca = isOwn ? await read('sslrootcert', address.rootCertificate) : undefined;
  if (sslMode === 'verify-ca' && ca === undefined)
    throw refuse('asks for sslmode=verify-ca without sslrootcert; name the certificate, or take sslmode=verify-full');
  const key = await read('sslkey', address.key);
  const tls: Tls = {
    verify: verifyOf(sslMode, ca !== undefined),
    ca,
    certificate: await read('sslcert', address.certificate),
    key: key === undefined ? undefined : new Secret(key),
  };
  return sslMode === 'prefer' ? [{ ...plain, tls }, plain] : [{ ...plain, tls }];
}

/** As libpq has it: `require` with a certificate to compare with compares. */
function verifyOf(mode: ExternalAddress['sslMode'], hasCa: boolean): Tls['verify'] {
  if (mode === 'verify-full') return 'full';
  return mode === 'verify-ca' || (mode === 'require' && hasCa) ? 'ca' : 'none';
}

interface Try extends Required<Pick<ExternalOptions, 'setting' | 'limitMs'>> {
  readonly signal: AbortSignal | undefined;
}

type Outcome = { readonly connection: Connection } | { readonly why: string };

/** The first way that opens, or why waiting may help. @throws Fault DATABASE_REFUSED when it does not */
async function tryAll(candidates: readonly Connection[], options: Try): Promise<Outcome> {
  let refusal: unknown;
  for (const connection of candidates) {
    try {
      await tryOne(connection, options);
      return { connection };
    } catch (error) {
      const known = isProtocolFault(error) ? undefined : databaseFault(error);
      if (Fault.is(known, 'DATABASE_UNAVAILABLE')) return { why: String(known.data.why) };
      refusal = refusalOf(error, connection, options.setting);
      if (!hasNoTls(error)) break;
    }
  }
  throw refusal;
}

async function tryOne(connection: Connection, { limitMs, signal }: Try): Promise<void> {
  // A limit of the server's too, as each session of the pool has: a pooler that passes none is found out here.
  const limits = { connectionTimeoutMillis: limitMs, query_timeout: limitMs, statement_timeout: limitMs };
  const client = new Client({ ...clientConfig(connection, 'plinth-start'), ...limits });
  client.on('error', () => {}); // what is under way fails with it
  const hangUp = () => client.connection.stream.destroy();
  signal?.addEventListener('abort', hangUp, { once: true });
  try {
    await client.connect();
    await checkServer(client, connection);
  } finally {
    signal?.removeEventListener('abort', hangUp);
    await client.end().catch(() => {});
  }
}
