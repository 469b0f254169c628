import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A host as its API is documented: what is not exactly so is refused with 422, as these hosts refuse it. */
export interface PlayedHost {
  /** Base of the API. */
  readonly apiUrl: string;
  /** Every status that was taken, as the host shows it, in order. */
  readonly statuses: readonly PlayedStatus[];
  /** What was asked, whether taken or not. */
  readonly asked: readonly { readonly method: string; readonly path: string; readonly authorization: string }[];
  /** The next request is answered so, whatever it is. */
  answerNext(answer: PlayedAnswer): void;
  close(): Promise<void>;
}

export interface PlayedStatus {
  readonly revision: string;
  readonly context: string;
  readonly state: string;
  readonly description: string | undefined;
  readonly url: string | undefined;
}

export interface PlayedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Answer only after so long. */
  readonly afterMs?: number;
}

interface Fields {
  readonly [name: string]: unknown;
}

/** What a host demands. Each check gives the reason of a refusal. */
interface Rules {
  readonly base: string;
  readonly path: RegExp;
  readonly authorization: string;
  readonly headers: Readonly<Record<string, RegExp>>;
  readonly unauthorized: number;
  /** Field → whether its value is allowed; those with `?` may be left out. Others are refused. */
  readonly fields: Readonly<Record<string, (value: unknown) => boolean>>;
  readonly status: (revision: string, body: Fields) => PlayedStatus;
  readonly message: (text: string) => unknown;
  /** A state that the host does not take after the ones before. */
  refuse?(statuses: readonly PlayedStatus[], status: PlayedStatus): PlayedAnswer | undefined;
  /** The status with which it is taken. */
  readonly taken: (known: boolean) => number;
}

const one =
  (...values: readonly string[]) =>
  (value: unknown) =>
    values.includes(value as string);
const line = (most: number) => (value: unknown) =>
  typeof value === 'string' && [...value].length <= most && !/[\n\r]/.test(value);
const address = (value: unknown) => typeof value === 'string' && /^https?:\/\/\S+$/.test(value);
const optional = (value: unknown) => (value === undefined ? undefined : String(value));

/** The repository is `acme/state`; the credential `secret-token`. */
const repository = { owner: 'acme', name: 'state' };
export const playedToken = 'secret-token-of-a-robot';
const { owner, name } = repository;

const github: Rules = {
  base: '/api/v3',
  path: new RegExp(`^/api/v3/repos/${owner}/${name}/statuses/([0-9a-f]{40})$`),
  authorization: `Bearer ${playedToken}`,
  headers: { 'user-agent': /./, accept: /^application\/vnd\.github\+json$/, 'x-github-api-version': /^2022-11-28$/ },
  unauthorized: 401,
  fields: {
    state: one('error', 'failure', 'pending', 'success'),
    'context?': line(255),
    'description?': line(140),
    'target_url?': address,
  },
  status: (revision, body) => ({
    revision,
    context: String(body.context),
    state: String(body.state),
    description: optional(body.description),
    url: optional(body.target_url),
  }),
  message: (message) => ({ message, documentation_url: 'https://docs.example.com' }),
  refuse: (statuses, { revision, context }) =>
    statuses.filter((each) => each.revision === revision && each.context === context).length >= 1000
      ? {
          status: 422,
          body: { message: 'Validation Failed: This SHA and context has reached the maximum number of statuses.' },
        }
      : undefined,
  taken: () => 201,
};

const gitlab: Rules = {
  base: '/api/v4',
  path: new RegExp(`^/api/v4/projects/${owner}%2Fplatform%2F${name}/statuses/([0-9a-f]{40})$`),
  authorization: `Bearer ${playedToken}`,
  headers: {},
  unauthorized: 401,
  fields: {
    state: one('pending', 'running', 'success', 'failed', 'canceled', 'skipped'),
    'name?': line(255),
    'description?': line(255),
    'target_url?': address,
  },
  status: (revision, body) => ({
    revision,
    context: String(body.name),
    state: String(body.state),
    description: optional(body.description),
    url: optional(body.target_url),
  }),
  message: (message) => ({ message: { base: [message] } }),
  refuse: (statuses, { revision, context, state }) => {
    const before = statuses.findLast((each) => each.revision === revision && each.context === context)?.state;
    if (before !== state || !['pending', 'running'].includes(state)) return undefined;
    const event = state === 'running' ? 'run' : 'enqueue';
    const reason = `Status cannot transition via "${event}"`;
    return {
      status: 400,
      body: { message: `Cannot transition status via :${event} from :${state} (Reason(s): ${reason})` },
    };
  },
  taken: () => 201,
};

const bitbucket: Rules = {
  base: '/2.0',
  path: new RegExp(`^/2\\.0/repositories/${owner}/${name}/commit/([0-9a-f]{40})/statuses/build$`),
  authorization: `Bearer ${playedToken}`,
  headers: {},
  unauthorized: 401,
  fields: {
    key: line(40),
    state: one('INPROGRESS', 'SUCCESSFUL', 'FAILED', 'STOPPED'),
    url: address,
    'name?': line(255),
    'description?': line(255),
  },
  status: (revision, body) => ({
    revision,
    context: String(body.key),
    state: String(body.state),
    description: optional(body.description),
    url: optional(body.url),
  }),
  message: (message) => ({ type: 'error', error: { message } }),
  taken: (known) => (known ? 200 : 201),
};

const rules = { github, gitlab, bitbucket };
export type PlayedKind = keyof typeof rules;

/** What each of them calls the repository. */
export const playedRepository: Readonly<Record<PlayedKind, string>> = {
  github: `${owner}/${name}`,
  gitlab: `${owner}/platform/${name}`,
  bitbucket: `${owner}/${name}`,
};

/** Starts one on a free loopback port. */
export async function startPlayedHost(kind: PlayedKind): Promise<PlayedHost> {
  const host = rules[kind] as Rules;
  const statuses: PlayedStatus[] = [];
  const asked: { method: string; path: string; authorization: string }[] = [];
  const answers: PlayedAnswer[] = [];
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request;
    asked.push({ method, path, authorization: headers.authorization ?? '' });
    const prepared = answers.shift();
    const deciding =
      prepared === undefined
        ? judge(host, request, statuses)
        : text(request).then(
            () => prepared,
            () => prepared,
          );
    deciding.then((answer) => reply(response, answer)).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  return {
    apiUrl: `http://127.0.0.1:${port}${host.base}`,
    statuses,
    asked,
    answerNext: (answer) => {
      answers.push(answer);
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function reply(response: ServerResponse, { status, headers = {}, body = {}, afterMs = 0 }: PlayedAnswer): void {
  const timer = setTimeout(() => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }, afterMs);
  response.once('close', () => clearTimeout(timer));
}

async function judge(host: Rules, request: IncomingMessage, statuses: PlayedStatus[]): Promise<PlayedAnswer> {
  const body = await text(request);
  const no = (status: number, why: string): PlayedAnswer => ({ status, body: host.message(why) });
  const revision = host.path.exec(request.url ?? '')?.[1];
  if (request.headers.authorization !== host.authorization) return no(host.unauthorized, 'Bad credentials');
  if (revision === undefined) return no(404, 'Not Found');
  if (request.method !== 'POST') return no(405, 'Method Not Allowed');
  if (request.headers['content-type'] !== 'application/json') return no(415, 'application/json is wanted');
  for (const [header, form] of Object.entries(host.headers))
    if (!form.test(request.headers[header]?.toString() ?? '')) return no(422, `header ${header} is wrong`);
  const fields = JSON.parse(body) as Fields;
  const wrong = wrongField(host.fields, fields);
  if (wrong !== undefined) return no(422, wrong);
  const status = host.status(revision, fields);
  const refused = host.refuse?.(statuses, status);
  if (refused !== undefined) return refused;
  const known = statuses.some((each) => each.revision === revision && each.context === status.context);
  statuses.push(status);
  return { status: host.taken(known), body: fields };
}

function wrongField(wanted: Rules['fields'], given: Fields): string | undefined {
  for (const [field, isRight] of Object.entries(wanted)) {
    const key = field.replace('?', '');
    if (!(key in given) && field.endsWith('?')) continue;
    if (!isRight(given[key])) return `${key}: ${JSON.stringify(given[key])} is not allowed`;
  }
  const unknown = Object.keys(given).find((key) => !(key in wanted) && !(`${key}?` in wanted));
  return unknown === undefined ? undefined : `${unknown} is no field`;
}
