import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The control plane as a person starts it: a process of its own, on free ports. */
export interface ControlPlane {
  /** Base URL of the API. */
  readonly url: string;
  readonly consoleUrl: string;
  /** What Prometheus would get, with the secret that the control plane made for it. */
  metrics(): Promise<string>;
  /** All that it printed to standard output so far. */
  output(): string;
  /** The JSON lines of its log so far. */
  log(): string;
  readonly process: ChildProcess;
  /** A request as the administrator. The body is YAML when it is text, else JSON. */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Asks with GET until `test` says yes. */
  until(path: string, test: (body: Answer['body']) => boolean, limitMs?: number): Promise<Answer['body']>;
  /** SIGTERM, and waits for its end. Returns the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked at field by field in assertions
  readonly body: any;
  readonly text: string;
}

export interface ControlPlaneOptions {
  readonly dataDirectory: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** The text of `.env` in the working directory; `environment` counts before it. */
  readonly envFile?: string;
  /** true: the process is told nothing but DATA_DIR; the administrator's password is the generated one. */
  readonly bare?: boolean;
}

export const admin = { email: 'admin@localhost.ai', password: 'correct horse battery' };
const usual = { API_PORT: '0', CONSOLE_PORT: '0', METRICS_PORT: '0', AUTH_ADMIN_PASSWORD: admin.password };
const main = fileURLToPath(new URL('../../app/main.ts', import.meta.url));

/** Starts it, in the folder around its data, and waits until it says that it is ready. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { dataDirectory } = options;
  const cwd = dirname(dataDirectory);
  mkdirSync(cwd, { recursive: true });
  if (options.envFile !== undefined) writeFileSync(join(cwd, '.env'), options.envFile);
  const child = spawn(process.execPath, [main], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: dataDirectory,
      DATA_DIR: dataDirectory,
      ...(options.bare === true ? {} : usual),
      ...options.environment,
    },
  });
  let output = '';
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  await ready(
    child,
    () => output,
    () => log,
  );
  const urlOf = (label: string) => new RegExp(`${label}\\s+(http://\\S+?)(/metrics)?\\s`).exec(output)?.[1] ?? '';
  const url = urlOf('API and Git');
  const generated = (name: string) => readFileSync(join(dataDirectory, name), 'utf8').trim();
  const password = options.bare === true ? generated('admin-password') : admin.password;
  const request = requester(url, password);
  return {
    url,
    consoleUrl: urlOf('Console'),
    metrics: async () => {
      const authorization = `Bearer ${options.environment?.METRICS_SECRET ?? generated('metrics-secret')}`;
      return await (await fetch(`${urlOf('Metrics')}/metrics`, { headers: { authorization } })).text();
    },
    output: () => output,
    log: () => log,
    process: child,
    request,
    until: async (path, test, limitMs = 60_000) => {
      let last: Answer | undefined;
      for (const end = Date.now() + limitMs; Date.now() < end; await sleep(15)) {
        last = await request('GET', path);
        if (last.status < 300 && test(last.body)) return last.body;
      }
      throw new Error(`not reached: GET ${path} is ${last?.status} ${JSON.stringify(last?.body)?.slice(0, 2000)}`);
    },
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      return child.exitCode;
    },
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function ready(child: ChildProcess, output: () => string, log: () => string): Promise<void> {
  for (const end = Date.now() + 60_000; !output().includes('Ctrl-C stops it'); await sleep(10)) {
    if (child.exitCode === null && Date.now() < end) continue;
    child.kill('SIGKILL');
    throw new Error(`the control plane did not start (exit ${child.exitCode})\n${output()}\n${log().slice(-4000)}`);
  }
}

function requester(url: string, password: string): ControlPlane['request'] {
  const authorization = `Basic ${Buffer.from(`${admin.email}:${password}`).toString('base64')}`;
  return async (method, path, body, headers) => {
    const yaml = typeof body === 'string';
    const answer = await fetch(url + path, {
      method,
      headers: {
        authorization,
        ...(body === undefined ? {} : { 'content-type': yaml ? 'application/yaml' : 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : yaml ? (body as string) : JSON.stringify(body),
    });
    const text = await answer.text();
    const json = answer.headers.get('content-type')?.includes('json') === true;
    return { status: answer.status, headers: answer.headers, text, body: json ? JSON.parse(text) : text };
  };
}
