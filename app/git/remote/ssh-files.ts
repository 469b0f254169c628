import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RemoteCredential } from '#base/config.ts';
import { Fault } from '#base/errors.ts';

/** The files that ssh reads: its configuration, the pinned host keys and the private key, for this user alone. */
export interface SshFiles {
  /** Brings the key up to date, which a file may hold that others change. Gives the configuration's path. */
  refresh(): Promise<string>;
  remove(): Promise<void>;
}

const connectTimeoutS = 10;
const aliveS = 15;

/** @param folder made for this, mode 0700, and removed by `remove` */
export async function createSshFiles(
  folder: string,
  credential: Extract<RemoteCredential, { kind: 'ssh' }>,
): Promise<SshFiles> {
  const [config, key, hosts] = ['config', 'key', 'known_hosts'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]; // as many as names
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { knownHosts } = credential;
  const lines = knownHosts.startsWith('/') ? await read(knownHosts, 'STATE_REPOSITORY_KNOWN_HOSTS') : knownHosts;
  await writeFile(hosts, lines, { mode: 0o600 });
  await writeFile(config, configText(key, hosts), { mode: 0o600 });
  let written: string | undefined;
  return {
    refresh: async () => {
      const text = credential.key?.reveal() ?? (await read(credential.keyFile ?? '', 'STATE_REPOSITORY_SSH_KEY_FILE'));
      if (text !== written) await writeFile(key, text.endsWith('\n') ? text : `${text}\n`, { mode: 0o600 });
      written = text;
      return config;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

const read = async (file: string, setting: string) =>
  await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Fault('CONFIG_INVALID', { faults: `  - ${setting}: ${file} cannot be read (${error.code})` });
  });

/** Nothing of the user's or the system's ssh counts: one key, pinned hosts, no question to anybody, no agent. */
const configText = (key: string, hosts: string) => `Host *
  IdentityFile ${quoted(key)}
  IdentitiesOnly yes
  IdentityAgent none
  CertificateFile none
  UserKnownHostsFile ${quoted(hosts)}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  VerifyHostKeyDNS no
  UpdateHostKeys no
  CheckHostIP no
  BatchMode yes
  PreferredAuthentications publickey
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  ForwardAgent no
  ForwardX11 no
  ClearAllForwardings yes
  PermitLocalCommand no
  ProxyCommand none
  ControlMaster no
  ControlPath none
  LogLevel ERROR
  ConnectTimeout ${connectTimeoutS}
  ServerAliveInterval ${aliveS}
  ServerAliveCountMax 2
`;

/** A path as ssh reads it: what it would fill in is written so that it does not. */
function quoted(path: string): string {
  if (/["\\$\p{Cc}]/u.test(path))
    throw new Fault('CONFIG_INVALID', { faults: `  - DATA_DIR: ${path} holds characters that ssh cannot be told of` });
  return `"${path.replaceAll('%', '%%')}"`;
}
