import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';
import type { Connection } from '#database/connection.ts';
import { choosePort } from '#scripts/cluster/port.ts';
import { buildGitea, type GiteaBuild, isGiteaBuilt, missingForGitea } from '#scripts/gitea/build.ts';
import { describeUnless } from './missing.ts';
import { createEmptyDatabase } from './postgres.ts';
import { temporaryDirectory } from './temporary.ts';

/** A real Gitea of this file alone, on loopback, with one user who may do everything. */
export interface TestGitea {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Base of the REST API. */
  readonly apiUrl: string;
  /** Where its own SSH server listens; undefined unless asked for. */
  readonly ssh: { readonly host: string; readonly port: number; readonly user: string } | undefined;
  readonly user: string;
  readonly password: string;
  /** Of that user, with every scope. */
  readonly token: string;
  /** A request as that user, or with another token: `await gitea.api('GET', 'repos/plinth/state')`. */
  api(method: string, path: string, body?: unknown, token?: string): Promise<{ status: number; body: GiteaBody }>;
  /** Makes an empty private repository whose branch is `main`, and gives its addresses. */
  createRepository(name: string): Promise<TestRepository>;
  /** A token of the user with these scopes (`read:repository` …), to see what is refused. */
  createToken(scopes: readonly string[]): Promise<string>;
  /** Everything but its data goes away; `start` brings it back on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** The last of what it logged. */
  log(): string;
}

export interface TestRepository {
  /** `plinth/<name>`, as the API has it. */
  readonly name: string;
  readonly httpUrl: string;
  readonly sshUrl: string | undefined;
  /** A webhook for everything that is pushed or proposed, signed with this secret. */
  addWebhook(url: string, secret: string, events?: readonly string[]): Promise<number>;
  /** Lets a key of SSH read, and write too unless said. */
  addDeployKey(publicKey: string, options?: { readonly readOnly?: boolean }): Promise<void>;
  /** All statuses of a commit, the newest first. */
  statuses(revision: string): Promise<readonly GiteaStatus[]>;
}

export interface GiteaStatus {
  readonly id: number;
  readonly context: string;
  readonly status: string;
  readonly description: string;
  readonly target_url: string;
}

// biome-ignore lint/suspicious/noExplicitAny: replies are looked at field by field in assertions
type GiteaBody = any;

export interface TestGiteaOptions {
  /** true: with its own SSH server on a free port. */
  readonly ssh?: boolean;
}

const run = promisify(execFile);
const mostMsToBuildAndStart = 20 * 60_000;
const mostMsToStart = 60_000;
const user = 'plinth';
const password = 'correct-horse-battery';

/**
 * Why no Gitea can be had here, or undefined. On cold caches of CI there may be no time to build it, which .ci/run says;
 * any other reason is a failure there.
 */
function missingGitea(): string | undefined {
  if (isGiteaBuilt()) return undefined;
  const reason = process.env.PLINTH_NO_GITEA ?? missingForGitea();
  const isCold = reason?.startsWith('cold cache') === true;
  if (reason !== undefined && !isCold && process.env.CI === 'true' && process.platform === 'linux')
    throw new Error(`CI must have a Gitea, but: ${reason}`);
  return reason;
}

/** A suite with a Gitea of its own (ready in 3 s); skipped with its reason where none can be had. */
export function describeWithGitea(
  name: string,
  tests: (gitea: () => TestGitea) => void,
  options: TestGiteaOptions = {},
): void {
  describeUnless(missingGitea(), name, () => {
    let started: (TestGitea & { remove(): Promise<void> }) | undefined;
    beforeAll(async () => {
      started = await startTestGitea(options);
    }, mostMsToBuildAndStart);
    afterAll(() => started?.remove());
    tests(() => {
      if (started === undefined) throw new Error('the Gitea is there in hooks and tests only');
      return started;
    });
  });
}

/** Starts a Gitea on free ports, its data in a database of its own on the run's server and in a temporary folder. */
async function startTestGitea(options: TestGiteaOptions = {}): Promise<TestGitea & { remove(): Promise<void> }> {
  const build = await buildGitea({ say: console.error });
  const { path: directory, remove } = temporaryDirectory('plinth-gitea');
  const database = await createEmptyDatabase();
  const port = await choosePort(join(directory, 'http-port'));
  const sshPort = options.ssh === true ? await choosePort(join(directory, 'ssh-port')) : undefined;
  const url = `http://127.0.0.1:${port}`;
  const config = join(directory, 'app.ini');
  mkdirSync(join(directory, 'home'));
  writeFileSync(config, configOf({ build, directory, connection: database.connection, port, sshPort }));
  const env = { PATH: process.env.PATH, HOME: join(directory, 'home'), USER: userInfo().username };
  const server = processOf(build.program, ['--config', config, 'web'], env, url);
  const end = async () => {
    await server.stop();
    await database.drop();
    remove();
  };
  try {
    await server.start();
    const token = await createUser(build.program, config, env);
    const api = apiOf(`${url}/api/v1`, token);
    const ssh = sshPort === undefined ? undefined : { host: '127.0.0.1', port: sshPort, user: 'git' };
    return {
      ...server,
      url,
      apiUrl: `${url}/api/v1`,
      ssh,
      user,
      password,
      token,
      api,
      createRepository: (name) => createRepository(api, { name, url, ssh }),
      createToken: (scopes) => createToken(url, scopes),
      remove: end,
    };
  } catch (error) {
    await end();
    throw new Error(`Gitea did not start: ${server.log()}`, { cause: error });
  }
}

interface ConfigOptions {
  readonly build: GiteaBuild;
  readonly directory: string;
  readonly connection: Connection;
  readonly port: number;
  readonly sshPort: number | undefined;
}

/** Nothing runs that tests do not need, and nothing asks the internet. */
function configOf({ build, directory, connection, port, sshPort }: ConfigOptions): string {
  const ssh =
    sshPort === undefined
      ? 'DISABLE_SSH = true'
      : `START_SSH_SERVER = true
SSH_DOMAIN = 127.0.0.1
SSH_LISTEN_HOST = 127.0.0.1
SSH_PORT = ${sshPort}
SSH_LISTEN_PORT = ${sshPort}
SSH_USER = git
BUILTIN_SSH_SERVER_USER = git`;
  return `RUN_MODE = prod
RUN_USER = ${userInfo().username}
WORK_PATH = ${directory}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = ${port}
ROOT_URL = http://127.0.0.1:${port}/
STATIC_ROOT_PATH = ${build.static}
OFFLINE_MODE = true
${ssh}
[database]
DB_TYPE = postgres
HOST = ${connection.host.startsWith('/') ? `${connection.host}/:${connection.port}` : `${connection.host}:${connection.port}`}
NAME = ${connection.database}
USER = ${connection.user}
PASSWD = \`${connection.password.reveal()}\`
SSL_MODE = disable
MAX_OPEN_CONNS = 10
[security]
INSTALL_LOCK = true
SECRET_KEY = ${'0'.repeat(64)}
PASSWORD_HASH_ALGO = pbkdf2_v2
[service]
DISABLE_REGISTRATION = true
[repository]
DEFAULT_BRANCH = main
[webhook]
ALLOWED_HOST_LIST = loopback
[indexer]
ISSUE_INDEXER_TYPE = db
[queue]
TYPE = channel
[session]
PROVIDER = memory
[log]
MODE = console
LEVEL = warn
${['actions', 'packages', 'cron', 'mirror', 'picture', 'cron.update_checker'].map((part) => `[${part}]\nENABLED = false\n`).join('')}`;
}

function processOf(program: string, args: readonly string[], env: NodeJS.ProcessEnv, url: string) {
  let child: ChildProcess | undefined;
  let output = '';
  const keep = (text: string) => {
    output = (output + text).slice(-8000);
  };
  return {
    log: () => output,
    start: async () => {
      const started = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      started.stdout.setEncoding('utf8').on('data', keep);
      started.stderr.setEncoding('utf8').on('data', keep);
      for (const end = Date.now() + mostMsToStart; ; await sleep(20)) {
        const ready = await fetch(`${url}/api/v1/version`).then(
          ({ ok }) => ok,
          () => false,
        );
        if (ready) return;
        if (started.exitCode !== null || Date.now() > end) throw new Error(`Gitea does not answer: ${output}`);
      }
    },
    stop: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function createUser(program: string, config: string, env: NodeJS.ProcessEnv): Promise<string> {
  const who = ['--username', user, '--password', password, '--email', 'plinth@example.com', '--admin'];
  const token = ['--access-token', '--access-token-scopes', 'all'];
  const args = ['--config', config, 'admin', 'user', 'create', ...who, '--must-change-password=false', ...token];
  const { stdout } = await run(program, args, { env });
  const found = /\b[0-9a-f]{40}\b/.exec(stdout)?.[0];
  if (found === undefined) throw new Error(`no token in: ${stdout}`);
  return found;
}

function apiOf(base: string, own: string): TestGitea['api'] {
  return async (method, path, body, token = own) => {
    const answer = await fetch(`${base}/${path}`, {
      method,
      headers: { authorization: `token ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json') === true;
    return { status: answer.status, body: isJson && text !== '' ? JSON.parse(text) : text };
  };
}

let tokens = 0;

async function createToken(url: string, scopes: readonly string[]): Promise<string> {
  tokens += 1;
  const answer = await fetch(`${url}/api/v1/users/${user}/tokens`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ name: `token-${tokens}`, scopes }),
  });
  const { sha1 } = (await answer.json()) as { sha1?: string };
  if (sha1 === undefined) throw new Error(`no token: ${answer.status}`);
  return sha1;
}

async function createRepository(
  api: TestGitea['api'],
  { name, url, ssh }: { readonly name: string } & Pick<TestGitea, 'url' | 'ssh'>,
): Promise<TestRepository> {
  const full = `${user}/${name}`;
  const wanted = async (status: number, answer: ReturnType<TestGitea['api']>) => {
    const { status: came, body } = await answer;
    if (came !== status) throw new Error(`Gitea answered ${came}: ${JSON.stringify(body)}`);
    return body;
  };
  await wanted(201, api('POST', 'user/repos', { name, private: true, default_branch: 'main' }));
  return {
    name: full,
    httpUrl: `${url}/${full}.git`,
    sshUrl: ssh === undefined ? undefined : `ssh://${ssh.user}@${ssh.host}:${ssh.port}/${full}.git`,
    addWebhook: async (target, secret, events = ['push', 'pull_request']) => {
      const config = { url: target, content_type: 'json', secret };
      const hook = { type: 'gitea', active: true, branch_filter: '*', events, config };
      return (await wanted(201, api('POST', `repos/${full}/hooks`, hook))).id;
    },
    addDeployKey: async (key, { readOnly = false } = {}) => {
      const title = key.split(' ')[1]?.slice(-12) ?? 'key';
      await wanted(201, api('POST', `repos/${full}/keys`, { title, key, read_only: readOnly }));
    },
    statuses: async (revision) => await wanted(200, api('GET', `repos/${full}/commits/${revision}/statuses?limit=50`)),
  };
}
