import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import type { Database, Queryable } from '#database/pool.ts';
import type { Auth } from '../better-auth.ts';
import { principalOf } from '../principal.ts';
import type { MembershipRow } from '../principal-store.ts';
import { mustHold, mustHoldAllOf } from '../roles.ts';
import type { Sessions } from '../sign-in/sessions.ts';
import { keepRole } from './custom-roles.ts';
import {
  countOtherAdministrators,
  deletePerson,
  findPerson,
  findPersonByEmail,
  listPeople,
  lockAdministrators,
  type PeoplePage,
  type PersonRow,
  saveDisabled,
  updatePerson,
} from './people-store.ts';
import { keepTeams, replaceMemberships } from './team-store.ts';

export interface Person {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  /** Name of the role in the organization. */
  readonly role: string;
  readonly emailVerified: boolean;
  /** A disabled person has no sessions, and tokens that do nothing. */
  readonly disabled: boolean;
  readonly memberships: readonly Pick<MembershipRow, 'team' | 'role' | 'source'>[];
  readonly createdAt: Date;
}

export interface NewPerson {
  readonly email: string;
  readonly name: string;
  readonly role: string;
  readonly emailVerified: boolean;
  readonly password?: Secret;
}

/** What changes of a person; what is absent stays. */
export interface PersonChange {
  readonly name?: string | undefined;
  readonly role?: string | undefined;
  readonly disabled?: boolean | undefined;
}

export interface People {
  find(id: string): Promise<Person | undefined>;
  /** In whatever case it is written. */
  findByEmail(email: string): Promise<Person | undefined>;
  /** A page of them, in the order in which they came. */
  list(page: PeoplePage): Promise<readonly Person[]>;
  /** @throws Fault PERSON_EXISTS | ROLE_NOT_FOUND, and GRANT_BEYOND_OWN where a caller makes them */
  create(person: NewPerson, by?: Caller): Promise<Person>;
  /**
   * All of it or nothing. Ends every session when it disables.
   * @throws Fault PERSON_NOT_FOUND | ROLE_NOT_FOUND | LAST_ADMINISTRATOR, and GRANT_BEYOND_OWN where a caller does it,
   *   who lacks something of the new role, or of what the person may do
   */
  change(id: string, change: PersonChange, by?: Caller): Promise<Person>;
  /** @throws Fault PERSON_NOT_FOUND | ROLE_NOT_FOUND | LAST_ADMINISTRATOR */
  setRole(id: string, role: string): Promise<void>;
  /** Ends every session when it disables. @throws Fault PERSON_NOT_FOUND | LAST_ADMINISTRATOR */
  setDisabled(id: string, disabled: boolean): Promise<void>;
  /**
   * Ends sessions and tokens; what the person did stays in the record.
   * @throws Fault PERSON_NOT_FOUND | LAST_ADMINISTRATOR | GRANT_BEYOND_OWN
   */
  remove(id: string, by?: Caller): Promise<void>;
  /** Somebody whom the caller may change, since they may do no more. @throws Fault PERSON_NOT_FOUND | GRANT_BEYOND_OWN */
  reach(id: string, by: Caller): Promise<Person>;
  /** @throws Fault PERSON_NOT_FOUND | GRANT_BEYOND_OWN */
  signOut(id: string, by: Caller): Promise<void>;
  /**
   * Makes the memberships that came from `source` (`identity:<provider>`) these teams, which must exist; the others
   * are passed over. Memberships from elsewhere are never touched.
   */
  syncTeams(id: string, source: string, teams: readonly string[]): Promise<void>;
}

export interface PeopleDependencies {
  readonly database: Database;
  readonly auth: Pick<Auth, 'addPerson'>;
  readonly sessions: Pick<Sessions, 'endAll'>;
}

/** One way to write an address, so that two are one person. */
export const normalEmail = (email: string): string => email.trim().toLowerCase();

export function createPeople({ database, auth, sessions }: PeopleDependencies): People {
  const found = async (id: string) => {
    const row = await findPerson(database, id);
    if (row === undefined) throw new Fault('PERSON_NOT_FOUND', { person: id });
    return personOf(row);
  };
  const change = async (id: string, wish: PersonChange, by?: Caller): Promise<Person> => {
    await database.transaction((tx) => changeIn(tx, id, wish, by));
    // Also when it enables: what was left of before must not come back to life.
    if (wish.disabled !== undefined) await sessions.endAll(id);
    return found(id);
  };
  return {
    find: async (id) => optional(await findPerson(database, id)),
    findByEmail: async (email) => optional(await findPersonByEmail(database, normalEmail(email))),
    list: async (page) => (await listPeople(database, page)).map(personOf),
    create: async (person, by) => {
      const grants = await keepRole(database, person.role);
      if (by !== undefined) mustHold(by, grants, []);
      const email = normalEmail(person.email);
      const id = await auth.addPerson({ ...person, email });
      if (id === undefined) throw new Fault('PERSON_EXISTS', { email });
      return found(id);
    },
    change,
    setRole: async (id, role) => void (await change(id, { role })),
    setDisabled: async (id, disabled) => void (await change(id, { disabled })),
    remove: async (id, by) => {
      await database.transaction(async (tx) => {
        await lockAdministrators(tx);
        await keepAnAdministrator(tx, await reachable(tx, id, by));
        await deletePerson(tx, id);
      });
    },
    reach: async (id, by) => personOf(await reachable(database, id, by)),
    signOut: async (id, by) => {
      await reachable(database, id, by);
      await sessions.endAll(id);
    },
    syncTeams: async (id, source, teams) => {
      await database.transaction(async (tx) => {
        await replaceMemberships(tx, id, source, await keepTeams(tx, teams));
      });
    },
  };
}

async function changeIn(tx: Queryable, id: string, { name, role, disabled }: PersonChange, by?: Caller): Promise<void> {
  await lockAdministrators(tx);
  const person = await reachable(tx, id, by);
  if (role !== undefined && role !== person.role) {
    const grants = await keepRole(tx, role);
    const teams = person.memberships.filter((each) => each.role === null).map(({ team }) => team);
    if (by !== undefined) mustHold(by, grants, teams);
  }
  const stays = (role ?? person.role) === 'admin' && !(disabled ?? person.disabled);
  if (!stays) await keepAnAdministrator(tx, person);
  if (name !== undefined || role !== undefined) await updatePerson(tx, id, { name, role });
  if (disabled !== undefined) await saveDisabled(tx, id, disabled);
}

/** Somebody whom the caller may change: nobody does anything to a person who may do more. */
async function reachable(db: Queryable, id: string, by: Caller | undefined): Promise<PersonRow> {
  const row = await findPerson(db, id);
  if (row === undefined) throw new Fault('PERSON_NOT_FOUND', { person: id });
  const may = principalOf({ ...row, name: row.email })?.may;
  if (by !== undefined && may !== undefined) mustHoldAllOf(by, may);
  return row;
}

/** @throws Fault LAST_ADMINISTRATOR when there is no active one beside this person, who is one */
async function keepAnAdministrator(tx: Queryable, { id, email, role, disabled }: PersonRow): Promise<void> {
  if (role !== 'admin' || disabled) return;
  if ((await countOtherAdministrators(tx, id)) === 0) throw new Fault('LAST_ADMINISTRATOR', { email });
}

const optional = (row: PersonRow | undefined) => (row === undefined ? undefined : personOf(row));

const personOf = (row: PersonRow): Person => ({
  id: row.id,
  email: row.email,
  name: row.name,
  role: row.role,
  emailVerified: row.email_verified,
  disabled: row.disabled,
  memberships: row.memberships.map(({ team, role, source }) => ({ team, role, source })),
  createdAt: row.created_at,
});
