import { Fault } from '#base/errors.ts';
import type { Caller } from '#contract/caller.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { findPrincipal } from '../principal-store.ts';
import { grantsOf, inTeam, mustHold } from '../roles.ts';
import { keepRole } from './custom-roles.ts';
import {
  countProjects,
  deleteMember,
  deleteTeam,
  keepTeams,
  listMembers,
  listTeams,
  type MemberRow,
  saveMember,
  saveTeam,
  type TeamRow,
} from './team-store.ts';

export interface NewMember {
  readonly team: string;
  /** A person or a service account. */
  readonly userId: string;
  /** Counts in this team in place of the role in the organization; null: that one. */
  readonly role: string | null;
}

export interface Teams {
  /** By name; of all teams when none are named. */
  list(names?: readonly string[]): Promise<readonly TeamRow[]>;
  /** @throws Fault TEAM_NOT_FOUND */
  get(name: string): Promise<TeamRow>;
  /** Makes it, or gives it another title. */
  put(name: string, title: string): Promise<TeamRow>;
  /** @throws Fault TEAM_NOT_FOUND | TEAM_IN_USE while it owns projects: who gets the name next would get them too */
  remove(name: string): Promise<void>;
  /** @throws Fault TEAM_NOT_FOUND */
  members(team: string): Promise<readonly MemberRow[]>;
  /** @throws Fault TEAM_NOT_FOUND | PERSON_NOT_FOUND | ROLE_NOT_FOUND | GRANT_BEYOND_OWN */
  putMember(caller: Caller, member: NewMember): Promise<MemberRow>;
  /** For whatever reason they are there. @throws Fault TEAM_NOT_FOUND | MEMBER_NOT_FOUND | GRANT_BEYOND_OWN */
  removeMember(caller: Caller, team: string, userId: string): Promise<void>;
}

export function createTeams(database: Database): Teams {
  const get = async (name: string) => {
    const [team] = await listTeams(database, [name]);
    if (team === undefined) throw new Fault('TEAM_NOT_FOUND', { team: name });
    return team;
  };
  return {
    list: (names) => listTeams(database, names),
    get,
    put: async (name, title) => {
      await saveTeam(database, name, title);
      return get(name);
    },
    remove: async (name) => {
      await database.transaction(async (tx) => {
        const count = await countProjects(tx, name);
        if (count > 0) throw new Fault('TEAM_IN_USE', { team: name, count });
        if (!(await deleteTeam(tx, name))) throw new Fault('TEAM_NOT_FOUND', { team: name });
      });
    },
    members: async (team) => {
      await get(team);
      return listMembers(database, team);
    },
    putMember: async (caller, member) => {
      await database.transaction((tx) => addMember(tx, caller, member));
      const rows = await listMembers(database, member.team, member.userId);
      const made = rows.find(({ source }) => source === 'manual');
      if (made === undefined) throw new Fault('MEMBER_NOT_FOUND', { team: member.team, person: member.userId });
      return made;
    },
    removeMember: async (caller, team, userId) => {
      await get(team);
      await database.transaction(async (tx) => {
        const [present] = await listMembers(tx, team, userId);
        if (present === undefined) throw new Fault('MEMBER_NOT_FOUND', { team, person: userId });
        mustHold(caller, await grantsIn(tx, userId, present.role), [team]);
        await deleteMember(tx, team, userId);
      });
    },
  };
}

/**
 * Puts somebody into a team, as far as the caller holds in this team what they will be able to do there.
 * @throws Fault TEAM_NOT_FOUND | PERSON_NOT_FOUND | ROLE_NOT_FOUND | GRANT_BEYOND_OWN
 */
export async function addMember(tx: Queryable, caller: Pick<Caller, 'may'>, member: NewMember): Promise<void> {
  const { team, userId, role } = member;
  if ((await keepTeams(tx, [team])).length === 0) throw new Fault('TEAM_NOT_FOUND', { team });
  mustHold(caller, await grantsIn(tx, userId, role), [team]);
  await saveMember(tx, { team, userId, role, source: 'manual' });
}

/** What somebody may do in a team where this is their role. */
async function grantsIn(tx: Queryable, userId: string, role: string | null) {
  const person = await findPrincipal(tx, userId);
  if (person === undefined) throw new Fault('PERSON_NOT_FOUND', { person: userId });
  if (role !== null) return inTeam(await keepRole(tx, role));
  return inTeam(grantsOf(person.role, person.grants) ?? {});
}
