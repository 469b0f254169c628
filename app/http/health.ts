import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Handlers } from '#contract/routes.ts';

/** Resolves when the part works. What a Fault says is shown to everyone; any other error only goes to the log. */
export type Check = (signal: AbortSignal) => Promise<void>;

export interface HealthDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly database: Check;
  readonly git: Check;
  /** The remote that the repository is a mirror of: while it is out, changes are accepted and wait. */
  readonly remote?: Check | undefined;
  /** By environment; asked anew each time, as clusters come and go. */
  readonly clusters: () => Readonly<Record<string, Check>>;
  /** A part that has not answered by then is out. Default 2 s. */
  readonly timeoutMs?: number;
}

interface Answer {
  readonly ok: boolean;
  readonly ms: number;
  readonly reason: string;
}

interface Readiness {
  readonly ready: boolean;
  readonly database: Answer;
  readonly git: Answer;
  readonly remote: Answer | null;
  readonly clusters: Readonly<Record<string, Answer>>;
}

/** /health: the process lives. /ready: it can work; of all who ask at the same time only one asks the parts. */
export function createHealthHandlers(dependencies: HealthDependencies): Pick<Handlers, 'getHealth' | 'getReady'> {
  let underWay: Promise<Readiness> | undefined;
  return {
    getHealth: async () => ({ json: { status: 'ok' } }),
    getReady: async () => {
      underWay ??= askAll(dependencies).finally(() => {
        underWay = undefined;
      });
      const readiness = await underWay;
      return readiness.ready ? { json: readiness } : { status: 503, json: readiness };
    },
  };
}

async function askAll(dependencies: HealthDependencies): Promise<Readiness> {
  const names = Object.entries(dependencies.clusters());
  const { remote: askRemote } = dependencies;
  const [database, git, remote, ...clusters] = await Promise.all([
    ask('database', dependencies.database, dependencies),
    ask('git', dependencies.git, dependencies),
    askRemote === undefined ? null : ask('remote', askRemote, dependencies),
    ...names.map(([name, check]) => ask(`cluster of ${name}`, check, dependencies)),
  ]);
  return {
    ready: database.ok && git.ok,
    database,
    git,
    remote,
    clusters: Object.fromEntries(clusters.map((answer, index) => [names[index]?.[0] ?? '', answer])),
  };
}

async function ask(part: string, check: Check, dependencies: HealthDependencies): Promise<Answer> {
  const { clock, log, timeoutMs = 2000 } = dependencies;
  const started = clock.monotonicMs();
  const answer = (reason: string): Answer => ({
    ok: reason === '',
    ms: Math.round((clock.monotonicMs() - started) * 10) / 10,
    reason,
  });
  const answered = new AbortController();
  const late = new AbortController();
  const timeout = clock.sleep(timeoutMs, answered.signal).then(() => `no answer within ${timeoutMs} ms`);
  const asked = check(late.signal).then(
    () => '',
    (error: unknown) => {
      if (Fault.is(error)) return error.message;
      if (!late.signal.aborted) log.warn({ err: error, part }, 'part is out');
      return 'it fails; the log says why';
    },
  );
  try {
    return answer(await Promise.race([asked, timeout]));
  } finally {
    late.abort();
    answered.abort();
    timeout.catch(() => {});
  }
}
