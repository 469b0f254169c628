import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from './temporary.ts';

const program = '/usr/sbin/sshd';
/** Where sshd as root wants an empty folder; made for a test where the system has not. */
const separation = '/run/sshd';

/** Why there can be no real SSH server here, or undefined. */
export function whyNoSshServer(): string | undefined {
  if (!existsSync(program)) return `needs ${program} (Debian: openssh-server)`;
  return undefined;
}

/** A real sshd on the loopback that lets this very user in with one key. */
export interface SshServer {
  readonly port: number;
  readonly user: string;
  /** The private key that is let in, and one that is not. */
  readonly key: string;
  readonly otherKey: string;
  readonly keyFile: string;
  /** A line of known_hosts for it. */
  readonly knownHosts: string;
  /** Ends it and starts it anew with another host key, on the same port. */
  changeHostKey(): Promise<void>;
}

/** Starts one for this test. */
export async function useSshServer(): Promise<SshServer> {
  const { path, remove } = temporaryDirectory('plinth-sshd');
  const makeKey = (name: string) => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(path, name)]);
    return join(path, name);
  };
  const [host, otherHost, key, otherKey] = ['host', 'other-host', 'key', 'other-key'].map(makeKey) as [
    string,
    string,
    string,
    string,
  ]; // as many as names
  const port = await freePort();
  const separated = userInfo().uid === 0 && !existsSync(separation);
  if (separated) mkdirSync(separation, { mode: 0o755 });
  writeFileSync(join(path, 'authorized'), readFileSync(`${key}.pub`));
  let child = await start(path, port, host);
  onTestFinished(async () => {
    await end(child);
    if (separated) rmdirSync(separation);
    remove();
  });
  const [type, text] = readFileSync(`${host}.pub`, 'utf8').split(' ');
  return {
    port,
    user: userInfo().username,
    key: readFileSync(key, 'utf8'),
    keyFile: key,
    otherKey: readFileSync(otherKey, 'utf8'),
    knownHosts: `[127.0.0.1]:${port} ${type} ${text}\n`,
    changeHostKey: async () => {
      await end(child);
      child = await start(path, port, otherHost);
    },
  };
}

async function start(folder: string, port: number, hostKey: string): Promise<ChildProcess> {
  const config = join(folder, 'config');
  writeFileSync(
    config,
    `ListenAddress 127.0.0.1:${port}
HostKey ${hostKey}
AuthorizedKeysFile ${join(folder, 'authorized')}
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AcceptEnv GIT_PROTOCOL
LogLevel ERROR
`,
  );
  const child = spawn(program, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  for (const end = Date.now() + 10_000; ; await sleep(15)) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`sshd did not start: ${said}`);
    if (await answers(port)) return child;
  }
}

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on TCP
  server.close();
  await once(server, 'close');
  return port;
}
