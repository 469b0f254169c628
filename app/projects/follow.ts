import { Fault } from '#base/errors.ts';
import type { Handlers } from '#contract/routes.ts';
import { keyText } from '#environments/layout.ts';
import type { ProjectDoors } from './doors.ts';
import { summaryOf } from './read.ts';
import { listHistory } from './store.ts';
import { toHistoryView } from './views.ts';

const mostAtOnce = 100;

/** Server-sent events of a project: its state now, then each time reconcile wrote it, with the history since. */
export const watchProject =
  (doors: ProjectDoors): Handlers['watchProject'] =>
  async ({ params: key, request }) => {
    await summaryOf(doors, key);
    const since = Number(request.header('last-event-id') ?? Number.NaN);
    return { events: follow(doors, key, request.signal, since) };
  };

async function* follow(doors: ProjectDoors, key: Parameters<typeof summaryOf>[1], signal: AbortSignal, since: number) {
  let wake = () => {};
  let dirty = true;
  const mark = () => {
    dirty = true;
    wake();
  };
  const stops = [doors.notices.on('project_events', mark, keyText(key)), doors.notices.onGap(mark)];
  signal.addEventListener('abort', () => wake(), { once: true });
  const newest = await newestId(doors, key);
  // An id from the future is of another database: there is nothing to catch up with.
  let last = Number.isInteger(since) ? Math.min(since, newest) : newest;
  try {
    while (!signal.aborted) {
      if (!dirty) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      dirty = false;
      const rows = await listHistory(doors.database, key, { since: last, limit: mostAtOnce });
      for (const row of rows) {
        last = row.id;
        yield { event: 'history' as const, id: String(row.id), data: toHistoryView(row) };
      }
      if (rows.length === mostAtOnce) dirty = true;
      const summary = await summaryOf(doors, key).catch(absentProject);
      if (summary === undefined) return; // The project has ended, and so does its stream.
      yield { event: 'status' as const, id: String(last), data: summary };
    }
  } finally {
    for (const stop of stops) stop();
  }
}

/** A project that is gone ends its stream; every other fault is one. */
function absentProject(error: unknown): undefined {
  if (!Fault.is(error, 'PROJECT_NOT_FOUND')) throw error;
}

async function newestId(doors: ProjectDoors, key: Parameters<typeof summaryOf>[1]): Promise<number> {
  return (await listHistory(doors.database, key, { limit: 1 }))[0]?.id ?? 0;
}
