import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { converse, inflate } from './converse.ts';
import { answerHook } from './hook-channel.ts';
import { syncFolder } from './locks.ts';
import { endChild, type GitChild } from './process.ts';
import { type CheckPush, type Judgement, judgePush } from './push.ts';
import type { Repository } from './repository.ts';

export type { PushView } from './push.ts';

/** Who calls, and what authorisation says of them. */
export interface GitCaller {
  readonly name: string;
  /** How this caller stands in the audit record and in trailers. */
  readonly actor: string;
  readonly mayRead: boolean;
  readonly mayPush: boolean;
}

export interface GitServer {
  /**
   * Answers one request below `/git/`; `path` is its path without the query. Who calls was found out before. Never
   * throws: what goes wrong is answered in plain text, which git shows to its user.
   */
  handle(request: IncomingMessage, response: ServerResponse, path: string, caller: GitCaller): Promise<void>;
  /** Ends every git process that still serves someone. */
  close(): Promise<void>;
}

export interface GitServerOptions {
  readonly repository: Repository;
  readonly log: Log;
  readonly checkPush: CheckPush;
  /** A push came in. A hint: the branch itself says what is true. */
  pushed(move: { before: string | undefined; after: string; actor: string }): void;
  /** Where the hook pre-receive is, when not in its own folder beside this file. */
  readonly hooksDirectory?: string;
  /** The largest request body, after it was inflated; 64 MiB by default. */
  readonly mostBodyBytes?: number;
}

type Service = 'upload-pack' | 'receive-pack';

/** What a request wants of git: the refs and abilities of a service, or its answer. */
interface Wish {
  readonly service: Service;
  readonly advertise: boolean;
}

/**
 * Git over HTTP for the one repository, at `/git/state.git`: the smart protocol in all its versions, not the dumb one.
 * @throws Fault REPOSITORY_UNAVAILABLE when the hook that guards pushes cannot run.
 */
export async function createGitServer(options: GitServerOptions): Promise<GitServer> {
  const { repository, log, hooksDirectory = join(import.meta.dirname, 'hook') } = options;
  const children = new Set<GitChild>();
  const serve = createService({ ...options, hooksDirectory });
  await hookMustRun(hooksDirectory);
  return {
    handle: async (request, response, path, caller) => {
      try {
        const wish = readWish(request, path);
        mayCall(wish, caller);
        if (wish.service === 'receive-pack') await hookMustRun(hooksDirectory);
        await serve(request, response, wish, caller, children);
      } catch (error) {
        if (!Fault.is(error)) log.error({ err: error, path }, 'git request failed');
        refuse(response, error);
      }
    },
    close: async () => {
      await Promise.all([...children].map(endChild));
      log.debug({ directory: repository.directory }, 'git server closed');
    },
  };
}

function createService(options: GitServerOptions & { readonly hooksDirectory: string }) {
  const { repository, hooksDirectory, mostBodyBytes = 64 * 2 ** 20 } = options;
  const settings = ['-c', `core.hooksPath=${hooksDirectory}`, '-c', `receive.maxInputSize=${mostBodyBytes}`];

  return async (
    request: IncomingMessage,
    response: ServerResponse,
    { service, advertise }: Wish,
    caller: GitCaller,
    children: Set<GitChild>,
  ) => {
    const protocol = readProtocol(request);
    const push = service === 'receive-pack' && !advertise;
    const args = [
      ...settings,
      service,
      '--stateless-rpc',
      ...(advertise ? ['--advertise-refs'] : []),
      repository.directory,
    ];
    const environment: Record<string, string> = protocol === undefined ? {} : { GIT_PROTOCOL: protocol };
    const body = inflate(request);
    const child = repository.git.start(args, { environment, channel: push });
    children.add(child);
    child.once('close', () => children.delete(child));
    const judgement = push ? listen(child, options, caller.actor) : undefined;
    response.setHeader('content-type', `application/x-git-${service}-${advertise ? 'advertisement' : 'result'}`);
    response.setHeader('cache-control', 'no-cache, max-age=0, must-revalidate');
    if (advertise && !(service === 'upload-pack' && protocol?.includes('version=2')))
      response.write(announce(`# service=git-${service}\n`));
    await converse(child, { request, body, response, mostBodyBytes, directory: repository.directory });
    if (judgement !== undefined) await settlePush(await judgement, options, caller.actor);
    response.end();
  };
}

/** Answers the hook; gives what was decided last, once git has ended. */
async function listen(child: GitChild, options: GitServerOptions, actor: string): Promise<Judgement | undefined> {
  let judgement: Judgement | undefined;
  const channel = child.stdio[3] as Duplex; // a pipe, as it was started with a channel
  await answerHook(channel, async (request) => {
    judgement = await judgePush({ ...options, actor }, request);
    return judgement;
  });
  return judgement;
}

/** git may still fail after a yes, so the branch is asked whether the push came in. */
async function settlePush(judgement: Judgement | undefined, options: GitServerOptions, actor: string): Promise<void> {
  const { repository, log, pushed } = options;
  const move = judgement?.move;
  if (move === undefined) return;
  const tip = await repository.tip();
  if (tip === undefined || !(await repository.isAncestor(move.after, tip).catch(() => false))) return;
  await syncFolder(join(repository.directory, 'refs/heads'));
  log.info({ ...move, actor }, 'push accepted');
  pushed({ ...move, actor });
}

function readWish(request: IncomingMessage, path: string): Wish {
  const method = request.method ?? '';
  const [, file] = /^\/git\/state\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(path) ?? [];
  if (file === undefined) throw new Fault('ROUTE_UNKNOWN', { method, path });
  const allowed = file === 'info/refs' ? 'GET' : 'POST';
  if (method !== allowed) throw new Fault('METHOD_UNKNOWN', { path, method, allowed });
  const name = file === 'info/refs' ? new URL(request.url ?? '', 'http://git').searchParams.get('service') : file;
  if (name !== 'git-upload-pack' && name !== 'git-receive-pack') throw new Fault('GIT_PROTOCOL_UNKNOWN');
  const came = request.headers['content-type'];
  if (file !== 'info/refs' && came !== `application/x-${name}-request`)
    throw new Fault('MEDIA_TYPE_UNKNOWN', { came: came ?? 'nothing', wanted: `application/x-${name}-request` });
  return { service: name === 'git-upload-pack' ? 'upload-pack' : 'receive-pack', advertise: file === 'info/refs' };
}

function mayCall({ service }: Wish, { name, mayRead, mayPush }: GitCaller): void {
  if (service === 'upload-pack' && !mayRead) throw new Fault('FORBIDDEN', { actor: name, permission: 'state:read' });
  if (service === 'receive-pack' && !mayPush) throw new Fault('FORBIDDEN', { actor: name, permission: 'state:write' });
}

/** The client's Git-Protocol header, where it says nothing but protocol versions. */
function readProtocol(request: IncomingMessage): string | undefined {
  const header = request.headers['git-protocol'];
  return typeof header === 'string' && /^version=[012](:version=[012])*$/.test(header) ? header : undefined;
}

/** A line in git's packet format, and the end of the section. */
const announce = (line: string) => `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`;

/** git accepts a push unasked when it finds no hook that it can run; so that is looked for before. */
async function hookMustRun(hooksDirectory: string): Promise<void> {
  const hook = join(hooksDirectory, 'pre-receive');
  await access(hook, constants.X_OK).catch((cause) => {
    throw new Fault('REPOSITORY_UNAVAILABLE', { why: `the hook ${hook} cannot be executed` }, { cause });
  });
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const fault = Fault.is(error) ? error : undefined;
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(fault?.status ?? 500, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
  response.end(`${fault?.message ?? 'Something unforeseen happened; the log has it.'}\n`);
}
