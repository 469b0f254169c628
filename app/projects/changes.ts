import { Fault } from '#base/errors.ts';
import { teamsOf } from '#contract/caller.ts';
import type { Handlers } from '#contract/routes.ts';
import { type Change, readChange, readChanges } from '#publish/store.ts';
import type { ProjectDoors } from './doors.ts';
import { page, seesProject } from './read.ts';
import { toChangeView } from './views.ts';

/** GET /changes/{id}; with ?wait it answers when the change has ended, or when the time is over. */
export const getChange =
  (doors: ProjectDoors): Handlers['getChange'] =>
  async ({ caller, params, query, request }) => {
    const read = async (): Promise<Change> => {
      const change = await readChange(doors.database, params.id);
      if (change === undefined || !seesProject(caller, change))
        throw new Fault('CHANGE_NOT_FOUND', { change: params.id });
      return change;
    };
    return { json: toChangeView(await readEnded(doors, params.id, read, query.wait * 1000, request.signal)) };
  };

/**
 * Reads a change when it has ended, or when the time is over. Notices are hints that get lost with their connection:
 * after a gap the change is looked at again.
 */
async function readEnded(
  { notices, clock }: ProjectDoors,
  id: string,
  read: () => Promise<Change>,
  waitMs: number,
  signal: AbortSignal,
): Promise<Change> {
  let look = () => {};
  let noticed = false;
  let over = waitMs === 0;
  const notice = () => {
    noticed = true;
    look();
  };
  const finish = () => {
    over = true;
    look();
  };
  const stops = [notices.on('change_ended', notice, id), notices.onGap(notice)];
  const answered = new AbortController();
  clock.sleep(waitMs, AbortSignal.any([signal, answered.signal])).then(finish, finish);
  try {
    for (;;) {
      const last = over;
      noticed = false;
      const change = await read();
      if (change.state !== 'accepted' || last) return change;
      if (noticed || over) continue;
      await new Promise<void>((resolve) => {
        look = resolve;
      });
    }
  } finally {
    answered.abort();
    for (const stop of stops) stop();
  }
}

export const listChanges =
  (doors: ProjectDoors): Handlers['listChanges'] =>
  async ({ caller, query }) => {
    const { environment, team, project, state, after, limit } = query;
    const changes = await readChanges(doors.database, {
      environment,
      team,
      project,
      state,
      teams: teamsOf(caller, 'project:read'),
      environments: caller.environments,
      before: after,
      limit: limit + 1,
    });
    return { json: page(changes.map(toChangeView), limit, ({ id }) => id) };
  };
