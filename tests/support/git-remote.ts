import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { StateRemote } from '#base/config.ts';
import { Secret } from '#base/secret.ts';
import { git } from './git.ts';
import { temporaryDirectory } from './temporary.ts';

/** A Git server on another machine, as far as Plinth can tell: `git http-backend` behind HTTP with Basic auth. */
export interface RemoteHost {
  /** Without credentials. */
  readonly url: string;
  /** The same repository on the disk, for those who come another way. */
  readonly directory: string;
  /** Who may read and write; absent: everybody. */
  signIn: { username: string; password: string } | undefined;
  /** away: connections are cut; elsewhere: every request is sent to `redirectTo`. */
  mode: 'up' | 'away' | 'elsewhere';
  redirectTo: string;
  /** Runs before a push is handed to git, when it carries objects. */
  beforePush: () => Promise<void>;
  /** true: the answer to a push is lost after it came in. */
  losesAnswers: boolean;
  readonly requests: { readonly method: string; readonly path: string; readonly authorization: string | undefined }[];
  /** What Plinth is told about it. */
  settings(more?: Partial<StateRemote>): StateRemote;
  /** The revision of its branch. */
  tip(): Promise<string>;
  remove(): Promise<void>;
}

/** Starts one with an empty repository; `openRemoteHost` for hooks, `useRemoteHost` for one test. */
export async function openRemoteHost(signIn?: { username: string; password: string }): Promise<RemoteHost> {
  const { path, remove } = temporaryDirectory('plinth-remote');
  const directory = join(path, 'state.git');
  await git(path, 'init', '--quiet', '--bare', '--initial-branch=main', directory);
  await git(directory, 'config', 'http.receivepack', 'true');
  await git(directory, 'config', 'uploadpack.allowFilter', 'true');
  const server = createServer((request, response) => {
    void answer(host, path, request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const place = `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
  const host: RemoteHost = {
    url: `http://${place}/state.git`,
    directory,
    signIn,
    mode: 'up',
    redirectTo: '',
    beforePush: async () => {},
    losesAnswers: false,
    requests: [],
    settings: (more) => ({
      url: host.url,
      scheme: 'http',
      host: '127.0.0.1',
      path: 'state',
      provider: 'plain',
      apiUrl: undefined,
      credential:
        host.signIn === undefined
          ? { kind: 'none' }
          : { kind: 'token', username: host.signIn.username, token: new Secret(host.signIn.password) },
      caFile: undefined,
      pollMs: 60_000,
      pushesPerMinute: undefined,
      webhookSecret: undefined,
      ...more,
    }),
    tip: () => git(directory, 'rev-parse', 'refs/heads/main'),
    remove: async () => {
      server.close();
      server.closeAllConnections();
      remove();
    },
  };
  return host;
}

export async function useRemoteHost(signIn?: { username: string; password: string }): Promise<RemoteHost> {
  const host = await openRemoteHost(signIn);
  onTestFinished(() => host.remove());
  return host;
}

async function answer(host: RemoteHost, root: string, request: IncomingMessage, response: ServerResponse) {
  const { authorization } = request.headers;
  const { method = '', url = '' } = request;
  host.requests.push({ method, path: url, authorization });
  if (host.mode === 'away') return void request.socket.destroy();
  if (host.mode === 'elsewhere') return void response.writeHead(302, { location: host.redirectTo + url }).end();
  if (host.signIn !== undefined) {
    const { username, password } = host.signIn;
    const wanted = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    if (authorization !== wanted)
      // What a careless host repeats must not come out either.
      return void response
        .writeHead(401, { 'www-authenticate': 'Basic realm="git"', 'content-type': 'text/plain' })
        .end(`you sent ${authorization}\n`);
  }
  const { pathname, searchParams } = new URL(url, 'http://git');
  if (pathname.endsWith('/git-receive-pack') && request.headers['content-length'] !== '4') await host.beforePush();
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      REQUEST_METHOD: method,
      PATH_INFO: pathname,
      QUERY_STRING: searchParams.toString(),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_USER: 'somebody',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {});
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk);
  const output = Buffer.concat(chunks);
  const end = output.indexOf('\r\n\r\n');
  if (host.losesAnswers && pathname.endsWith('/git-receive-pack')) return void request.socket.destroy();
  let status = 200;
  for (const line of output.toString('latin1', 0, end).split('\r\n')) {
    const [, name = '', value = ''] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
    if (name.toLowerCase() === 'status') status = Number(value.split(' ')[0]);
    else if (name !== '') response.setHeader(name, value);
  }
  response.writeHead(status).end(output.subarray(end + 4));
}
