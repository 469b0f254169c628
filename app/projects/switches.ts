import type { z } from 'zod';
import { Fault } from '#base/errors.ts';
import { type Caller, teamsOf } from '#contract/caller.ts';
import type { Handlers } from '#contract/routes.ts';
import type { switchView } from '#contract/switches.ts';
import type { Action } from '#environments/operations.ts';
import { environmentNow, type ProjectDoors } from './doors.ts';
import { projectRow } from './read.ts';
import {
  listSwitches,
  readSwitch,
  removeSwitch,
  type SwitchPlace,
  type SwitchRow,
  switchesOf,
  writeSwitch,
} from './switch-store.ts';

type Body = { readonly reason: string; readonly until?: string | undefined };

/** The handlers of what is turned off: in an environment, for a team there, for one project. */
export const createSwitchHandlers = (doors: ProjectDoors) =>
  ({
    listSwitches: async ({ caller, params: { environment } }) => {
      await environmentNow(doors, environment);
      const about = { teams: teamsOf(caller, 'project:read') };
      return listed(await listSwitches(doors.database, environment, about, doors.clock.now()));
    },
    putEnvironmentSwitch: async ({ caller, params: { environment, action }, body, request }) => {
      await environmentNow(doors, environment);
      return put(doors, caller, { environment, team: '', project: '' }, action, body, request.ifMatch);
    },
    deleteEnvironmentSwitch: async ({ params: { environment, action }, request }) =>
      remove(doors, { environment, team: '', project: '' }, action, request.ifMatch),

    putTeamSwitch: async ({ caller, params: { environment, team, action }, body, request }) => {
      await environmentNow(doors, environment);
      return put(doors, caller, { environment, team, project: '' }, action, body, request.ifMatch);
    },
    deleteTeamSwitch: async ({ params: { environment, team, action }, request }) =>
      remove(doors, { environment, team, project: '' }, action, request.ifMatch),

    listProjectSwitches: async ({ params: key }) => {
      await projectRow(doors, key);
      return listed(await switchesOf(doors.database, key, doors.clock.now()));
    },
    putProjectSwitch: async ({ caller, params: { action, ...key }, body, request }) => {
      await projectRow(doors, key);
      return put(doors, caller, key, action, body, request.ifMatch);
    },
    // Whoever holds project:write of the team takes it away, whoever set it: a switch of one project is the project's
    // own. An administrator who wants it to last sets that of the team or the environment, which are not theirs.
    deleteProjectSwitch: async ({ params: { action, ...key }, request }) => remove(doors, key, action, request.ifMatch),
  }) satisfies Partial<Handlers>;

const listed = (rows: readonly SwitchRow[]) => ({ json: { items: rows.map(toView), next: null } });

async function put(
  doors: ProjectDoors,
  caller: Caller,
  place: SwitchPlace,
  action: Action,
  { reason, until: text }: Body,
  expected: string | undefined,
) {
  const now = doors.clock.now();
  const until = text === undefined ? undefined : new Date(text);
  if (until !== undefined && until <= now)
    throw new Fault('REQUEST_INVALID', {
      findings: [{ file: 'body', path: 'until', message: `${text} is in the past; it ends by itself in the future` }],
    });
  const before = await readSwitch(doors.database, place, action);
  const wish = { ...place, action, reason, actor: caller.name, until };
  const row = await writeSwitch(doors.database, wish, expected, now);
  if (row === undefined) throw await moved(doors, place, action, expected);
  return {
    json: toView(row),
    etag: String(row.version),
    audit: { before: before && toView(before), after: toView(row) },
  };
}

async function remove(doors: ProjectDoors, place: SwitchPlace, action: Action, expected: string | undefined) {
  const before = await readSwitch(doors.database, place, action);
  if (before === undefined) throw new Fault('SWITCH_NOT_FOUND', { action, place: placeText(place) });
  if (!(await removeSwitch(doors.database, place, action, expected))) throw await moved(doors, place, action, expected);
  return { audit: { before: toView(before) } };
}

/** What stands there in place of what the caller had read. */
async function moved({ database }: ProjectDoors, place: SwitchPlace, action: Action, expected: string | undefined) {
  const actual = (await readSwitch(database, place, action))?.version;
  return new Fault('SWITCH_MOVED', {
    action,
    place: placeText(place),
    expected: expected || 'absent',
    actual: actual === undefined ? 'absent' : String(actual),
  });
}

const placeText = ({ environment, team, project }: SwitchPlace): string =>
  [environment, team, project].filter((part) => part !== '').join('/');

const toView = (row: SwitchRow): z.input<typeof switchView> => ({
  action: row.action,
  team: row.team || null,
  project: row.project || null,
  reason: row.reason,
  actor: row.actor,
  until: row.until?.toISOString() ?? null,
  leftRevision: row.left_revision,
  etag: String(row.version),
  createdAt: row.created_at.toISOString(),
});
