import { Fault } from '#base/errors.ts';
import type { Handlers } from '#contract/routes.ts';
import { type Change, readChange, readChanges } from '#publish/store.ts';
import type { ProjectDoors } from './doors.ts';
import { page, seesTeam } from './read.ts';
import { toChangeView } from './views.ts';

/** GET /changes/{id}; with ?wait it answers when the change has ended, or when the time is over. */
export const getChange =
  (doors: ProjectDoors): Handlers['getChange'] =>
  async ({ caller, params, query, request }) => {
    const read = async (): Promise<Change> => {
      const change = await readChange(doors.database, params.id);
      if (change === undefined || !seesTeam(caller, change.team))
        throw new Fault('CHANGE_NOT_FOUND', { change: params.id });
      return change;
    };
    let wake = () => {};
    const ended = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const stop = doors.notices.on('change_ended', () => wake(), params.id);
    try {
      const change = await read();
      if (change.state !== 'accepted' || query.wait === 0) return { json: toChangeView(change) };
      const timer = doors.clock.sleep(query.wait * 1000, request.signal).catch(() => {});
      await Promise.race([ended, timer]);
      return { json: toChangeView(await read()) };
    } finally {
      stop();
    }
  };

export const listChanges =
  (doors: ProjectDoors): Handlers['listChanges'] =>
  async ({ caller, query }) => {
    const { environment, team, project, state, after, limit } = query;
    const changes = await readChanges(doors.database, {
      environment,
      team,
      project,
      state,
      before: after,
      limit: limit + 1,
    });
    const seen = changes.filter((change) => seesTeam(caller, change.team));
    return { json: page(seen.map(toChangeView), limit, ({ id }) => id) };
  };
