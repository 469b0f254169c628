import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { HookRequest, Verdict } from './hook-channel.ts';
import { createObjectReader, type ObjectReader } from './objects.ts';
import type { Git } from './process.ts';
import { createReads, type Reads } from './reads.ts';
import type { Repository } from './repository.ts';
import { type Step, stepsBetween } from './steps.ts';
import { crowdedText, folderFaults, sizeFault } from './tree-rules.ts';
import { diffTrees, type TreeChange, type TreeEntry } from './trees.ts';

/** The tree that a push would make, while its objects are still in quarantine. */
export interface PushView {
  /** What differs from the branch, in path order. */
  changed(): Promise<readonly TreeChange[]>;
  /** A file's content after the push (at most 1 MiB), or undefined. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** What stands directly in a folder after the push. */
  children(folder: string): Promise<TreeEntry[]>;
  /** A file's content before the push, or undefined. */
  readBefore(path: string): Promise<Uint8Array | undefined>;
  /** The commits by which the branch gets there, oldest first; none where there was no branch. */
  steps(): Promise<readonly PushedStep[]>;
}

/** One commit of a push, as a step of the branch. */
export interface PushedStep extends Step {
  /** The commit as Git keeps it, with its signature. */
  readonly content: Buffer;
  /** What it changes, in path order. */
  readonly changes: readonly TreeChange[];
  /** A file's content before it, or undefined. */
  readBefore(path: string): Promise<Uint8Array | undefined>;
}

/** A place in the state repository: a project of a team, an environment, or (nothing named) all that is above. */
export interface PushPlace {
  readonly environment?: string | undefined;
  readonly team?: string | undefined;
  /** The project's spec goes away. */
  readonly removed?: boolean;
}

/** Who pushes, and where they may change something. */
export interface Pusher {
  /** How this caller stands in the audit record and in trailers. */
  readonly actor: string;
  mayWrite(place: PushPlace): boolean;
}

/** A push that keeps every rule of git/ and waits for a yes. */
export interface Push extends Pusher {
  readonly before: string | undefined;
  readonly after: string;
  readonly view: PushView;
  /** The public key that Plinth signs its own commits with. */
  readonly ownKey: string | undefined;
}

/** What is wrong with a push, in lines for the pusher's terminal; nothing: it comes in. */
export type CheckPush = (push: Push) => Promise<readonly string[]>;

export interface JudgeOptions {
  readonly repository: Repository;
  readonly log: Log;
  readonly pusher: Pusher;
  readonly checkPush: CheckPush;
}

export interface Judgement extends Verdict {
  /** Where an accepted push takes the branch. */
  readonly move?: { readonly before: string | undefined; readonly after: string };
}

const mostChanges = 20_000;
/** Commits of a push whose signatures are looked at. */
const mostSteps = 2_000;
const mostLines = 40;
const mostReadBytes = 2 ** 20;
const nothing = '0'.repeat(40);

/** Decides on a push. What cannot be decided is refused. */
export async function judgePush(options: JudgeOptions, { updates, quarantine }: HookRequest): Promise<Judgement> {
  const { repository, log, pusher, checkPush } = options;
  const { actor, mayWrite } = pusher;
  const objects = createObjectReader(repository.git, { environment: quarantine, mostBytes: mostReadBytes });
  try {
    const move = await readMove(repository, objects, updates, quarantine);
    if (typeof move === 'string') return refusal([move]);
    const reads = createReads(objects);
    const found = await findFaults(objects, reads, move);
    if (found.faults.length > 0) return refusal(found.faults);
    const view = createView({ reads, objects, git: repository.git, quarantine }, move, found.changes);
    const ownKey = repository.signer?.publicKey;
    const lines = await checkPush({ ...move, actor, mayWrite, view, ownKey });
    return lines.length > 0 ? refusal(lines) : { accepted: true, lines: [], move };
  } catch (error) {
    if (!Fault.is(error)) log.error({ err: error, actor }, 'push could not be checked');
    return refusal([Fault.is(error) ? error.message : 'Plinth could not check this push; its log says why.']);
  } finally {
    await objects.close();
  }
}

interface Move {
  readonly before: string | undefined;
  readonly after: string;
}

/** The one move of the branch that a push may be, or the sentence that refuses it. */
async function readMove(
  { branch, git, tip }: Repository,
  objects: ObjectReader,
  updates: HookRequest['updates'],
  quarantine: HookRequest['quarantine'],
): Promise<Move | string> {
  const ref = `refs/heads/${branch}`;
  const other = updates.find((update) => update.ref !== ref);
  if (other !== undefined)
    return `${other.ref} cannot be pushed: the state repository has one branch, ${branch}. Push with: git push origin HEAD:${branch}`;
  const [update] = updates;
  if (update === undefined || updates.length > 1) return `a push moves ${branch} once`;
  if (update.after === nothing) return `${branch} cannot be deleted`;
  const before = update.before === nothing ? undefined : update.before;
  if ((await tip()) !== before) return `${branch} has moved meanwhile; fetch, rebase and push again`;
  if ((await objects.info(update.after))?.type !== 'commit') return `${branch} can only be moved to a commit`;
  if (before === undefined) return { before, after: update.after };
  const ancestry = await git.run(['merge-base', '--is-ancestor', before, update.after], {
    accept: [0, 1],
    environment: quarantine,
  });
  if (ancestry.code === 0) return { before, after: update.after };
  return `${branch} is never rewritten (a forced push); fetch, rebase and push again`;
}

/** Reads only folders that differ, and ends early where a push is too large or a folder breaks the rules. */
async function findFaults(
  objects: ObjectReader,
  reads: Reads,
  { before, after }: Move,
): Promise<{ faults: string[]; changes: readonly TreeChange[] }> {
  const faults: string[] = [];
  const trees = {
    before: before === undefined ? undefined : (await reads.commit(before)).tree,
    after: (await reads.commit(after)).tree,
  };
  const { changes, complete } = await diffTrees(objects, trees, '', {
    most: mostChanges,
    visit: (folder, old, present) => {
      const found = folderFaults(folder, old, present);
      faults.push(...found.slice(0, mostLines));
      return found.length === 0 && faults.length <= mostLines;
    },
    tooLarge: (folder) => faults.push(crowdedText(folder)),
  });
  if (faults.length > 0) return { faults, changes };
  if (!complete) return { faults: [`a push changes ${mostChanges} paths at the most`], changes };
  const sizes = await Promise.all(changes.map(async ({ after: id }) => (id ? await objects.info(id) : undefined)));
  for (const [index, { path, after: id }] of changes.entries()) {
    const size = sizes[index]?.size;
    if (id !== undefined && size === undefined) faults.push(`${path}: its content was not pushed`);
    const fault = size === undefined ? undefined : sizeFault(path, size);
    if (fault !== undefined) faults.push(fault);
  }
  return { faults, changes };
}

interface ViewDoors {
  readonly reads: Reads;
  readonly objects: ObjectReader;
  readonly git: Git;
  readonly quarantine: HookRequest['quarantine'];
}

function createView(
  { reads, objects, git, quarantine }: ViewDoors,
  { before, after }: Move,
  changes: readonly TreeChange[],
): PushView {
  const pushed = async (step: Step): Promise<PushedStep> => {
    const [was, is] = await Promise.all([reads.commit(step.before), reads.commit(step.revision)]);
    const found = await diffTrees(objects, { before: was.tree, after: is.tree }, '', {
      most: mostChanges,
      visit: () => true,
      tooLarge: () => {
        throw new Fault('PUSH_STEP_TOO_LARGE', { revision: step.revision, most: mostChanges });
      },
    });
    if (!found.complete) throw new Fault('PUSH_STEP_TOO_LARGE', { revision: step.revision, most: mostChanges });
    return {
      ...step,
      content: await reads.rawCommit(step.revision),
      changes: found.changes,
      readBefore: (path) => reads.blob(step.before, path),
    };
  };
  return {
    changed: async () => changes,
    read: (path) => reads.blob(after, path),
    children: (folder) => reads.children(after, folder),
    readBefore: async (path) => (before === undefined ? undefined : await reads.blob(before, path)),
    steps: async () => {
      if (before === undefined) return [];
      const steps = await stepsBetween(
        git,
        reads,
        { from: before, to: after, most: mostSteps },
        { environment: quarantine },
      );
      if (steps === undefined) throw new Fault('PUSH_TOO_LONG', { most: mostSteps });
      const all: PushedStep[] = [];
      for (const step of steps) all.push(await pushed(step));
      return all;
    },
  };
}

function refusal(lines: readonly string[]): Judgement {
  const shown = lines.slice(0, mostLines);
  if (lines.length > mostLines) shown.push(`… and ${lines.length - mostLines} more`);
  return { accepted: false, lines: shown };
}
