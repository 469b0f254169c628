import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import type { StateRemote } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import type { RemoteCredentials, SignIn } from '../credentials.ts';
import type { Git, GitResult } from '../process.ts';
import { remoteFault } from './fault.ts';
import { createSshFiles, type SshFiles } from './ssh-files.ts';

/** git that talks to one remote, signs in there, and goes nowhere else. */
export interface Transport {
  /**
   * Runs git to its end. Exit codes of git itself (1, 128) are given back where `read` makes something of them.
   * @throws Fault REMOTE_UNAVAILABLE | REMOTE_REFUSED | REMOTE_UNTRUSTED | REMOTE_UNUSABLE | DISK_FULL
   */
  run<T>(args: readonly string[], options: TransportOptions<T>): Promise<T>;
  close(): Promise<void>;
}

export interface TransportOptions<T> {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Asked right before each start of git; what it throws is thrown on. */
  readonly assert?: (() => void) | undefined;
  /** What the end means; undefined: it is a failure, and git's words say which. */
  read(result: GitResult): T | undefined;
}

/** A request slower than this for so long is given up. */
const lowSpeed = ['-c', 'http.lowSpeedLimit=1000', '-c', 'http.lowSpeedTime=20'];

/**
 * git checks what it fetches, but for what our own rules judge file by file: a name in one project must not keep all
 * others from being followed. Nothing is ever checked out here.
 */
const judgedByUs = [
  'hasDot',
  'hasDotdot',
  'hasDotgit',
  'fullPathname',
  'emptyName',
  'nullSha1',
  'zeroPaddedFilemode',
  'gitmodulesMissing',
  'gitmodulesBlob',
  'gitmodulesLarge',
  'gitmodulesName',
  'gitmodulesParse',
  'gitmodulesPath',
  'gitmodulesSymlink',
  'gitmodulesUpdate',
  'gitmodulesUrl',
  'gitattributesLineLength',
  'gitattributesLarge',
  'gitattributesMissing',
  'gitattributesBlob',
  'largePathname',
].flatMap((name) => ['-c', `fetch.fsck.${name}=ignore`]);

/** Over HTTPS git asks for user and password through a one-time channel; over SSH it gets one key and pinned hosts. */
export async function createTransport(options: {
  readonly git: Git;
  readonly remote: StateRemote;
  readonly credentials: RemoteCredentials;
}): Promise<Transport> {
  const { git, remote, credentials } = options;
  const { scheme, credential, caFile } = remote;
  const askpass = join(import.meta.dirname, 'askpass');
  const ssh = join(import.meta.dirname, 'ssh');
  await mustRun(scheme === 'ssh' ? ssh : askpass);
  const files: SshFiles | undefined =
    credential.kind === 'ssh' ? await createSshFiles(`${git.directory}.ssh`, credential) : undefined;
  const settings = [
    ...['-c', 'credential.helper='],
    ...['-c', 'http.followRedirects=false', '-c', 'http.sslVerify=true', '-c', 'transfer.credentialsInUrl=die'],
    ...(caFile === undefined ? [] : ['-c', `http.sslCAInfo=${caFile}`]),
    // Spares the request that only learns that a credential is wanted, where git is new enough.
    ...(credential.kind === 'none' ? [] : ['-c', 'http.proactiveAuth=basic']),
    ...['-c', 'core.bigFileThreshold=8m', '-c', 'submodule.recurse=false'],
    ...lowSpeed,
    ...judgedByUs,
  ];

  const attempt = async <T>(args: readonly string[], { timeoutMs, signal, assert, read }: TransportOptions<T>) => {
    const signIn = await credentials.signIn();
    const environment = {
      GIT_ALLOW_PROTOCOL: scheme,
      GIT_ASKPASS: askpass,
      ...(files === undefined
        ? {}
        : { GIT_SSH: ssh, GIT_SSH_VARIANT: 'ssh', PLINTH_SSH_CONFIG: await files.refresh() }),
    };
    const hear = (channel: Duplex) => void answerQuestions(channel, remote, signIn);
    const secrets = signIn === undefined ? [] : secretsOf(signIn);
    const accept = Array.from({ length: 256 }, (_, code) => code);
    assert?.();
    const result = await git
      .run([...settings, ...args], { environment, timeoutMs, signal, accept, hear })
      .catch((error: unknown) => {
        if (!Fault.is(error, 'REPOSITORY_UNAVAILABLE')) throw error;
        throw new Fault('REMOTE_UNAVAILABLE', { url: remote.url, why: String(error.data.why) });
      });
    const meant = read(result);
    if (meant !== undefined) return meant;
    throw remoteFault(remote, result.stderr, secrets);
  };

  return {
    run: async (args, options) => {
      try {
        return await attempt(args, options);
      } catch (error) {
        if (!Fault.is(error, 'REMOTE_REFUSED') || !credentials.wasRefused()) throw error;
        return await attempt(args, options);
      }
    },
    close: async () => await files?.remove(),
  };
}

const secretsOf = ({ username, password }: SignIn) => [
  password.reveal(),
  `${username}:${password.reveal()}`,
  ...(username.length > 12 ? [username] : []),
];

/** Answers what git asks, for this remote's host and no other. */
async function answerQuestions(channel: Duplex, remote: StateRemote, signIn: SignIn | undefined): Promise<void> {
  channel.on('error', () => {});
  try {
    for await (const question of createInterface({ input: channel })) {
      const [, what, scheme, place] =
        /^(Username|Password) for '([a-z]+):\/\/(?:[^@']*@)?([^'/]+)/.exec(question) ?? [];
      const isOurs =
        URL.parse(`${scheme}://${place}`)?.host === URL.parse(remote.url)?.host && scheme === remote.scheme;
      if (signIn === undefined || !isOurs) break;
      channel.write(`${what === 'Username' ? signIn.username : signIn.password.reveal()}\n`);
    }
  } catch {
    // It ended meanwhile.
  }
  // Whoever still asks gets no answer, instead of waiting for one.
  channel.destroy();
}

/** git falls back to other ways of asking when it cannot run this one. */
async function mustRun(file: string): Promise<void> {
  await access(file, constants.X_OK).catch((cause) => {
    throw new Fault('REPOSITORY_UNAVAILABLE', { why: `${file} cannot be executed` }, { cause });
  });
}
