import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import { createListener } from '#database/listen.ts';
import { channels, createNotices } from '#database/notices.ts';
import { type ProjectKey, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import { createEnvironments } from '#publish/environments.ts';
import { startPublisher } from '#publish/loop.ts';
import { acceptChange, readChange } from '#publish/store.ts';
import { goldenSpec } from '../bench/stand/projects.ts';
import { type BenchStores, openStores } from '../bench/stand/stores.ts';
import { randomFrom } from './stand/random.ts';
import type { CaseResult, Stand, Torture } from './stand/torture.ts';

/** `npm run torture -- writers` */
export const torture: Torture = {
  what: '50 writers, each with a project of its own, send one change after the other to one branch, and pushes of others come in between. Every change ends as exactly one commit with what was wished; none is lost, doubled or refused for the sake of another.',
  unit: 'changes',
  whole: 5_000,
  parallel: 50,
  open: () => openWriters(),
};

interface Writer {
  readonly key: ProjectKey;
  version: number;
}

const spec = goldenSpec('local/smallest');

export async function openWriters(): Promise<Stand> {
  const stores = await openStores('error');
  const { repository } = stores;
  const publisher = startPublisher({ ...stores, environments: createEnvironments(repository) });
  const notices = createNotices();
  notices.on('changes', () => publisher.wake());
  notices.onGap(() => publisher.wake());
  const listener = createListener({ ...stores, channels, onNotice: notices.deliver, onGap: notices.missed });
  const reader = createReader(repository);
  const idle: Writer[] = [];
  let made = 0;
  const next = (): Writer => {
    made += 1;
    return { key: { environment: 'local', team: 'writers', project: `writer-${made}` }, version: 0 };
  };
  return {
    run: async (seed) => {
      const writer = idle.pop() ?? next();
      if (randomFrom(seed).chance(0.1)) await pushBetween(stores, seed);
      const result = await write(stores, notices, writer, reader);
      idle.push(writer);
      return result;
    },
    close: async () => {
      await listener.stop();
      await publisher.stop();
      await stores.close();
    },
  };
}

/** One change, from its acceptance to its commit. */
async function write(
  stores: BenchStores,
  notices: ReturnType<typeof createNotices>,
  writer: Writer,
  reader: Reader,
): Promise<CaseResult> {
  const { database, repository, clock } = stores;
  const { key } = writer;
  writer.version += 1;
  const content = spec.replace(':1.29', `:1.29-${writer.version}`);
  const id = newId('change', clock.now());
  const ended = new Promise<void>((resolve) => {
    notices.on('change_ended', () => resolve(), id);
  });
  const begin = performance.now();
  await database.transaction((tx) =>
    acceptChange(tx, { ...key, id, kind: 'put', actor: `${key.project}@localhost`, content, message: '' }),
  );
  await ended;
  const ms = performance.now() - begin;
  const change = await readChange(database, id);
  const failures: string[] = [];
  if (change?.state !== 'committed')
    failures.push(`the change is ${change?.state}: ${JSON.stringify(change?.problem)}`);
  else {
    if (!(await reader.isInHistory(id, change.revision))) failures.push('the commit it names is not in the history');
    failures.push(...(await whyNotThere(repository, key, content)), ...reader.doubled());
  }
  return { failures, figures: { 'accepted → committed, ms': ms }, counts: {} };
}

async function whyNotThere(repository: Repository, key: ProjectKey, content: string): Promise<readonly string[]> {
  const there = await repository.read((await repository.tip()) ?? '', specFile(key));
  const isThere = there !== undefined && Buffer.from(there).toString() === content;
  return isThere ? [] : ['its content is not at the tip'];
}

interface Reader {
  /** True when this very commit is the one that the history has for the change. */
  isInHistory(change: string, revision: string | undefined): Promise<boolean>;
  /** Changes that turned out to have two commits since it was asked last. */
  doubled(): readonly string[];
}

/** Reads every commit of the branch once, as it comes. */
function createReader(repository: Repository): Reader {
  const commits = new Map<string, string>();
  let doubles: string[] = [];
  let read: string | undefined;
  const catchUp = async () => {
    const tip = await repository.tip();
    const fresh: string[] = [];
    for (let at = tip; at !== undefined && at !== read; at = (await repository.describe(at)).parents[0]) fresh.push(at);
    for (const revision of fresh) {
      const id = (await repository.describe(revision)).trailers['Plinth-Change'];
      if (id === undefined) continue;
      if (commits.has(id)) doubles.push(`change ${id} has two commits`);
      commits.set(id, revision);
    }
    read = tip;
  };
  let last = Promise.resolve();
  return {
    isInHistory: async (change, revision) => {
      last = last.then(catchUp);
      await last;
      return commits.get(change) === revision;
    },
    doubled: () => {
      const found = doubles;
      doubles = [];
      return found;
    },
  };
}

/** What another hand commits beside the publisher: it moves the branch below it. */
async function pushBetween({ repository, clock }: BenchStores, seed: number): Promise<void> {
  const edits = [{ path: `notes/note-${seed}.md`, content: `${seed}\n` }];
  const author = { name: 'Ada', email: 'ada@example.com' };
  for (;;) {
    try {
      const commits = [{ edits, subject: 'By another hand', trailers: [], author, at: clock.now() }];
      await commit(repository, { expected: await repository.tip(), commits });
      return;
    } catch (error) {
      if (!Fault.is(error, 'REVISION_MOVED')) throw error;
    }
  }
}
