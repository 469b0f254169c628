import { Fault } from '#base/errors.ts';
import { type Answer, createAnswers, type ObjectInfo, type StoredObject } from './answers.ts';
import { endChild, type Git, type GitChild, gitFault } from './process.ts';

/** The largest object that is read into memory, unless the caller wants less. */
const standardMostBytes = 8 * 2 ** 20;
/** So many questions are with git at once; the rest waits here. */
const mostAsked = 512;

/**
 * Reads objects through one long-lived `git cat-file --batch-command`. Questions are sent on at once, many in one
 * write, and answered in order. A process that dies is started again and asked again; only the question it died of
 * twice fails. Objects and refs that other processes write are seen: git looks at the disk again for what it misses.
 */
export interface ObjectReader {
  /** Id, type and size of what `name` names (`<id>`, `<revision>:<path>`, a full ref), or undefined. */
  info(name: string): Promise<ObjectInfo | undefined>;
  /** @throws Fault REPOSITORY_UNAVAILABLE when the object is larger than the reader's limit, 8 MiB by default. */
  contents(name: string): Promise<StoredObject | undefined>;
  /** Bytes of the largest object whose contents it gives. */
  readonly mostBytes: number;
  /** Ends the process. Questions still open are refused with STOPPING. */
  close(): Promise<void>;
}

interface Question {
  readonly kind: 'info' | 'contents';
  readonly name: string;
  deaths: number;
  resolve(answer: StoredObject | undefined): void;
  reject(error: Error): void;
}

export interface ReaderOptions {
  /** Added to the environment of the process: a quarantine, for example. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly mostBytes?: number;
}

export function createObjectReader(git: Git, options: ReaderOptions = {}): ObjectReader {
  const waiting: Question[] = [];
  const asked: Question[] = [];
  let child: GitChild | undefined;
  let sending = false;
  let closed = false;

  const start = () =>
    startReader(git, options, {
      wantsContent: () => asked[0]?.kind === 'contents',
      answered: (answer) => {
        settle(asked.shift(), answer, git.directory);
        send();
      },
      died: (message) => {
        child = undefined;
        const open = asked.splice(0);
        if (open[0] !== undefined) open[0].deaths += 1;
        if ((open[0]?.deaths ?? 0) > 1) open.shift()?.reject(gitFault(git.directory, message));
        waiting.unshift(...open);
        send();
      },
    });

  const write = () => {
    sending = false;
    const next = waiting.splice(0, mostAsked - asked.length);
    if (next.length === 0) return;
    asked.push(...next);
    child ??= start();
    child.stdin.write(`${next.map(({ kind, name }) => `${kind} ${name}\n`).join('')}flush\n`);
  };

  // What is asked within one turn goes in one write; half the window must be free, so that writes stay large.
  const send = () => {
    if (sending || waiting.length === 0 || asked.length > mostAsked / 2) return;
    sending = true;
    setImmediate(write);
  };

  const ask = (kind: Question['kind'], name: string) =>
    new Promise<StoredObject | undefined>((resolve, reject) => {
      if (closed) return reject(new Fault('STOPPING'));
      if (/[\n\0]/.test(name)) return resolve(undefined);
      waiting.push({ kind, name, deaths: 0, resolve, reject });
      send();
    });

  return {
    info: (name) => ask('info', name),
    contents: (name) => ask('contents', name),
    mostBytes: options.mostBytes ?? standardMostBytes,
    close: async () => {
      closed = true;
      const ending = child;
      child = undefined;
      for (const question of [...asked.splice(0), ...waiting.splice(0)]) question.reject(new Fault('STOPPING'));
      if (ending !== undefined) await endChild(ending);
    },
  };
}

interface ReaderEvents {
  wantsContent(): boolean;
  answered(answer: Answer): void;
  /** The process ended by itself. */
  died(message: string): void;
}

function startReader(git: Git, options: ReaderOptions, events: ReaderEvents): GitChild {
  const { environment, mostBytes = standardMostBytes } = options;
  const child = git.start(['cat-file', '--batch-command', '--buffer'], { environment });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString('utf8')}`.slice(-2048);
  });
  child.on('error', (error) => {
    said = `git cannot be started: ${error.message}`;
  });
  child.stdout.on('data', createAnswers({ mostBytes, ...events }));
  child.on('close', (code, signal) => events.died(said || `git cat-file ended with ${signal ?? `code ${code}`}`));
  return child;
}

function settle(question: Question | undefined, answer: Answer, directory: string): void {
  if (answer === undefined || answer.content !== undefined) question?.resolve(answer);
  else
    question?.reject(gitFault(directory, `object ${answer.id} has ${answer.size} bytes, which is more than is read`));
}
