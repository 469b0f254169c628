import { constants, readdirSync } from 'node:fs';
import { access, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { converse, inflate } from './converse.ts';
import { answerHook } from './hook-channel.ts';
import { syncFolder } from './locks.ts';
import { endChild, type GitChild } from './process.ts';
import { type CheckPush, type Judgement, judgePush, type Pusher } from './push.ts';
import type { Repository } from './repository.ts';

export type { Push, PushedStep, PushPlace, PushView } from './push.ts';

/** Who calls, and what authorisation says of them. */
export interface GitCaller extends Pusher {
  readonly name: string;
  readonly mayRead: boolean;
  readonly mayPush: boolean;
  /** Told how a push ended, and of a wish that this caller's rights refuse. The answer waits for it. Never throws. */
  record(end: GitEnd): Promise<void>;
}

/** How a push ended, or that a clone or fetch was refused. */
export interface GitEnd {
  readonly action: 'push' | 'fetch';
  /** denied: by rights or by the check; failed: it could not be read or written. */
  readonly outcome: 'done' | 'denied' | 'failed';
  /** The branch before it, and where the push took it or would have. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  /** Of the fault that ended it. */
  readonly code?: string | undefined;
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
  pushed(move: Move & { readonly actor: string }): void;
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
  /** The versions of the protocol that the client speaks, as it says them. */
  readonly protocol: string | undefined;
}

/**
 * Git over HTTP for the one repository, at `/git/state.git`: the smart protocol in all its versions, not the dumb one.
 * @throws Fault REPOSITORY_UNAVAILABLE when the hook that guards pushes cannot run.
 */
export async function createGitServer(options: GitServerOptions): Promise<GitServer> {
  const { repository, log, hooksDirectory = join(import.meta.dirname, 'hook'), mostBodyBytes = 64 * 2 ** 20 } = options;
  const { directory, git } = repository;
  const settings = ['-c', `core.hooksPath=${hooksDirectory}`, '-c', `receive.maxInputSize=${mostBodyBytes}`];
  const children = new Set<GitChild>();
  const pushes = new Set<GitChild>();
  await hookMustRun(hooksDirectory);

  const start = ({ service, advertise, protocol }: Wish): GitChild => {
    const mode = advertise ? ['--stateless-rpc', '--advertise-refs'] : ['--stateless-rpc'];
    const environment: Record<string, string> = protocol === undefined ? {} : { GIT_PROTOCOL: protocol };
    const child = git.start([...settings, service, ...mode, directory], { environment, channel: true });
    const group = service === 'receive-pack' ? pushes : children;
    group.add(child);
    child.once('close', () => {
      group.delete(child);
      if (pushes.size === 0) clearQuarantines(directory);
    });
    return child;
  };

  const serve = async (request: IncomingMessage, response: ServerResponse, wish: Wish, caller: GitCaller) => {
    const { service, advertise, protocol } = wish;
    const body = inflate(request);
    const child = start(wish);
    const push = hearPush(child, { ...options, pusher: caller });
    response.setHeader('content-type', `application/x-git-${service}-${advertise ? 'advertisement' : 'result'}`);
    response.setHeader('cache-control', 'no-cache, max-age=0, must-revalidate');
    if (advertise && !(service === 'upload-pack' && protocol?.includes('version=2')))
      response.write(announce(`# service=git-${service}\n`));
    const failure = await converse(child, { request, body, response, mostBodyBytes, directory }).catch(
      (error: unknown) => error,
    );
    const cameIn = await settlePush(push, options, caller.actor);
    if (isPush(request, wish)) await caller.record(endOf(push, cameIn, failure));
    if (failure !== undefined) throw failure;
    response.end();
  };

  return {
    handle: async (request, response, path, caller) => {
      try {
        const wish = readWish(request, path);
        await mayCall(wish, caller);
        if (wish.service === 'receive-pack') {
          if (repository.remote !== undefined) {
            const fault = new Fault('REMOTE_ELSEWHERE', { url: repository.remote.url });
            await caller.record({ action: 'push', outcome: 'denied', code: fault.code });
            throw fault;
          }
          await hookMustRun(hooksDirectory);
        }
        await serve(request, response, wish, caller);
      } catch (error) {
        if (!Fault.is(error)) log.error({ err: error, path }, 'git request failed');
        refuse(response, error);
      }
    },
    close: async () => {
      await Promise.all([...children, ...pushes].map(endChild));
    },
  };
}

type Move = NonNullable<Judgement['move']>;

/** What the hook was asked, and what it was told. */
interface Heard {
  /** Where the push wants to take the branch. */
  wanted?: Partial<Move>;
  accepted?: boolean;
  /** Set before git hears a yes, so that it says, once git has ended, what may have come in. */
  move?: Move | undefined;
}

/** Answers the hook. */
function hearPush(child: GitChild, options: Parameters<typeof judgePush>[0]): Heard {
  const heard: Heard = {};
  const channel = child.stdio[3] as Duplex; // a pipe, as it was started with a channel
  void answerHook(channel, async (request) => {
    const [update] = request.updates;
    heard.wanted = { before: update?.before, after: update?.after };
    const judgement = await judgePush(options, request);
    heard.move = judgement.move;
    heard.accepted = judgement.accepted;
    return judgement;
  });
  return heard;
}

/** git may still fail after a yes, so the branch is asked whether the push came in. */
async function settlePush({ move }: Heard, options: GitServerOptions, actor: string): Promise<boolean> {
  const { repository, log, pushed } = options;
  if (move === undefined) return false;
  const tip = await repository.tip();
  if (tip === undefined || !(await repository.isAncestor(move.after, tip).catch(() => false))) return false;
  await syncFolder(join(repository.directory, 'refs/heads'));
  log.info({ ...move, actor }, 'push accepted');
  pushed({ ...move, actor });
  return true;
}

/** Before a large push git sends four bytes that say nothing, to see whether it is let in. */
const isPush = ({ headers }: IncomingMessage, { service, advertise }: Wish) =>
  service === 'receive-pack' && !advertise && headers['content-length'] !== '4';

function endOf({ wanted, accepted, move }: Heard, cameIn: boolean, failure: unknown): GitEnd {
  if (cameIn) return { action: 'push', outcome: 'done', ...move };
  const outcome = accepted === false ? 'denied' : 'failed';
  return { action: 'push', outcome, ...wanted, code: Fault.is(failure) ? failure.code : undefined };
}

/** A git that was ended leaves its quarantine; called when no push is under way, and before another can begin. */
function clearQuarantines(directory: string): void {
  const objects = join(directory, 'objects');
  for (const name of readdirSync(objects))
    if (name.startsWith('tmp_objdir-')) void rm(join(objects, name), { recursive: true, force: true }).catch(() => {});
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
  return {
    service: name === 'git-upload-pack' ? 'upload-pack' : 'receive-pack',
    advertise: file === 'info/refs',
    protocol: readProtocol(request),
  };
}

async function mayCall({ service }: Wish, { name, mayRead, mayPush, record }: GitCaller): Promise<void> {
  const isFetch = service === 'upload-pack';
  if (isFetch ? mayRead : mayPush) return;
  const fault = new Fault('FORBIDDEN', { actor: name, permission: isFetch ? 'state:read' : 'state:write' });
  await record({ action: isFetch ? 'fetch' : 'push', outcome: 'denied', code: fault.code });
  throw fault;
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
