import { readFile } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { type Fields, textOf } from './fields.ts';
import type { KubeContext } from './kubeconfig.ts';

/** What proves to an API server who we are, and to us that it is the right server. */
export interface Credentials {
  /** Another object whenever something in it changed. Certificates in PEM. */
  tls(): TlsIdentity;
  /** The Authorization header, if any; cheap, since every request asks. */
  authorization(): string | undefined | Promise<string | undefined>;
  /** After a 401: reads everything again; true when something changed, so that trying again makes sense. */
  refresh(): Promise<boolean>;
}

export interface TlsIdentity {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Kubernetes rotates the token of a service account well before its end; once a minute is often enough. */
const rereadAfterMs = 60_000;

/** What a source of credentials says when asked anew. */
interface Reading {
  readonly tls: TlsIdentity;
  readonly authorization: Secret | undefined;
}

/** The account that a pod is given: token and authority in files that Kubernetes rotates. */
export async function accountCredentials(
  files: { readonly token: string; readonly ca: string },
  clock: Clock,
): Promise<Credentials> {
  return await fromReading(clock, rereadAfterMs, async () => ({
    tls: { ca: await readFile(files.ca, 'utf8') },
    authorization: bearer((await readFile(files.token, 'utf8')).trim()),
  }));
}

/**
 * The user of a kubeconfig. The ordinary ways (certificates, token, token file, password) are read here; exec plugins
 * and auth providers go through the official client, which takes about a second to load.
 */
export async function userCredentials(
  context: KubeContext,
  paths: readonly string[],
  clock: Clock,
): Promise<Credentials> {
  const { cluster, user } = context;
  const plugin = user.exec !== undefined || user['auth-provider'] !== undefined;
  if (plugin) return await fromReading(clock, rereadAfterMs, () => readByPlugin(cluster, paths));
  const rotates = textOf(user.tokenFile) !== '' || textOf(user['client-certificate']) !== '';
  return await fromReading(clock, rotates ? rereadAfterMs : Number.POSITIVE_INFINITY, () => readUser(cluster, user));
}

/**
 * The user of a kubeconfig that is kept elsewhere than in a file; `read` gives it as it is now. Read again after a
 * refusal, and whenever `refresh` is called.
 */
export async function keptCredentials(clock: Clock, read: () => Promise<KubeContext>): Promise<Credentials> {
  return await fromReading(clock, Number.POSITIVE_INFINITY, async () => {
    const { cluster, user } = await read();
    return await readUser(cluster, user);
  });
}

async function readUser(cluster: Fields, user: Fields): Promise<Reading> {
  const key = await pem(user, 'client-key');
  const tls = {
    ...(await serverIdentity(cluster)),
    cert: await pem(user, 'client-certificate'),
    key: key === undefined ? undefined : new Secret(key),
  };
  const tokenFile = textOf(user.tokenFile);
  const token = tokenFile === '' ? textOf(user.token) : (await readFile(tokenFile, 'utf8')).trim();
  if (token !== '') return { tls, authorization: bearer(token) };
  const name = textOf(user.username);
  const basic = Buffer.from(`${name}:${textOf(user.password)}`).toString('base64');
  return { tls, authorization: name === '' ? undefined : new Secret(`Basic ${basic}`) };
}

async function readByPlugin(cluster: Fields, paths: readonly string[]): Promise<Reading> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  for (const path of paths) {
    const one = new KubeConfig();
    one.loadFromFile(path);
    config.mergeConfig(one, config.currentContext !== undefined);
  }
  const asked: { headers?: unknown; cert?: unknown; key?: unknown } = {};
  await config.applyToHTTPSOptions(asked);
  // applyToHTTPSOptions writes a plain record of headers into options that had none.
  const headers = (asked.headers ?? {}) as Record<string, string>;
  const authorization = headers.Authorization ?? headers.authorization;
  const cert = asked.cert === undefined ? undefined : String(asked.cert);
  const key = asked.key === undefined ? undefined : new Secret(String(asked.key));
  return {
    tls: { ...(await serverIdentity(cluster)), cert, key },
    authorization: authorization === undefined ? undefined : new Secret(authorization),
  };
}

async function serverIdentity(cluster: Fields): Promise<TlsIdentity> {
  const servername = textOf(cluster['tls-server-name']);
  return {
    ca: await pem(cluster, 'certificate-authority'),
    ...(servername === '' ? {} : { servername }),
    ...(cluster['insecure-skip-tls-verify'] === true ? { rejectUnauthorized: false } : {}),
  };
}

/** `<name>-data` in base64, else the file that `<name>` says. */
async function pem(from: Fields, name: string): Promise<string | undefined> {
  const data = textOf(from[`${name}-data`]);
  if (data !== '') return Buffer.from(data, 'base64').toString();
  const path = textOf(from[name]);
  return path === '' ? undefined : await readFile(path, 'utf8');
}

const bearer = (token: string) => new Secret(`Bearer ${token}`);

/** Keeps a reading and makes a new one when it is old or refused; a reading that fails leaves the old one in force. */
async function fromReading(clock: Clock, everyMs: number, read: () => Promise<Reading>): Promise<Credentials> {
  let now = await read();
  let readAtMs = clock.monotonicMs();
  let underWay: Promise<boolean> | undefined;

  const reread = async (): Promise<boolean> => {
    readAtMs = clock.monotonicMs();
    const next = await read().catch(() => now);
    const sameTls = print(next.tls) === print(now.tls);
    const sameToken = next.authorization?.reveal() === now.authorization?.reveal();
    now = { tls: sameTls ? now.tls : next.tls, authorization: next.authorization };
    return !(sameTls && sameToken);
  };
  const refresh = async (): Promise<boolean> => {
    underWay ??= reread().finally(() => {
      underWay = undefined;
    });
    return await underWay;
  };

  return {
    tls: () => now.tls,
    authorization: () => {
      if (clock.monotonicMs() - readAtMs < everyMs) return now.authorization?.reveal();
      return refresh().then(() => now.authorization?.reveal());
    },
    refresh,
  };
}

const print = ({ ca, cert, key, servername, rejectUnauthorized }: TlsIdentity) =>
  JSON.stringify([ca, cert, key?.reveal(), servername, rejectUnauthorized]);
