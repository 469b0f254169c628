import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { type Caller, teamsOf } from '#contract/caller.ts';
import type { Handlers } from '#contract/routes.ts';
import { checkNewPassword } from '../sign-in/password-rules.ts';
import type { SecondFactor } from '../sign-in/second-factor.ts';
import type { People, Person } from './people.ts';

type UserHandlers = Pick<
  Handlers,
  'listUsers' | 'createUser' | 'getUser' | 'changeUser' | 'deleteUser' | 'signOutUser' | 'removeSecondFactor'
>;

interface UserDoors {
  readonly people: People;
  readonly secondFactor: Pick<SecondFactor, 'state' | 'remove'>;
}

/** People, as far as the caller shares a team with them. */
export function createUserHandlers({ people, secondFactor }: UserDoors): UserHandlers {
  const find = async (caller: Caller, id: string) => {
    const person = await people.find(id);
    if (person === undefined || !sees(caller, person)) throw new Fault('PERSON_NOT_FOUND', { person: id });
    return person;
  };
  return {
    listUsers: async ({ caller, query: { q, after, limit } }) => {
      const teams = teamsOf(caller, 'user:read');
      const found = await people.list({
        teams: teams === 'all' ? undefined : teams,
        self: caller.id,
        text: q,
        after,
        limit: limit + 1,
      });
      const items = found.slice(0, limit).map((person) => viewOf(caller, person));
      return { json: { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null } };
    },
    createUser: async ({ caller, body: { password, ...wish } }) => {
      const secret = password === undefined ? undefined : new Secret(password);
      if (secret !== undefined) checkNewPassword(secret, wish);
      const person = await people.create(
        { ...wish, emailVerified: false, ...(secret === undefined ? {} : { password: secret }) },
        caller,
      );
      return { json: viewOf(caller, person), audit: { target: person.id, after: stateOf(person) } };
    },
    getUser: async ({ caller, params: { user } }) => ({ json: viewOf(caller, await find(caller, user)) }),
    changeUser: async ({ caller, params: { user }, body }) => {
      const before = await people.find(user);
      const person = await people.change(user, body, caller);
      return {
        json: viewOf(caller, person),
        audit: { target: person.email, before: stateOf(before), after: stateOf(person) },
      };
    },
    deleteUser: async ({ caller, params: { user } }) => {
      const before = await people.find(user);
      await people.remove(user, caller);
      return { audit: { target: before?.email ?? user, before: stateOf(before) } };
    },
    signOutUser: async ({ caller, params: { user } }) => {
      await people.signOut(user, caller);
      return { audit: { target: user } };
    },
    removeSecondFactor: async ({ caller, params: { user } }) => {
      // Who only has somebody else's session must not come to be rid of it.
      if (user === caller.id) throw new Fault('SECOND_FACTOR_OWN');
      const person = await people.reach(user, caller);
      const before = await secondFactor.state(user);
      await secondFactor.remove(user);
      await people.signOut(user, caller);
      return { audit: { target: person.email, before, after: await secondFactor.state(user) } };
    },
  };
}

function sees(caller: Caller, person: Person): boolean {
  const teams = teamsOf(caller, 'user:read');
  return teams === 'all' || person.id === caller.id || person.memberships.some(({ team }) => teams.includes(team));
}

const stateOf = (person: Person | undefined) =>
  person === undefined
    ? undefined
    : { email: person.email, name: person.name, role: person.role, disabled: person.disabled };

/** Of the teams only those that the caller shares. */
function viewOf(caller: Caller, { memberships, createdAt, ...person }: Person) {
  const teams = teamsOf(caller, 'user:read');
  const shown =
    teams === 'all' || person.id === caller.id ? memberships : memberships.filter(({ team }) => teams.includes(team));
  return { ...person, teams: shown, createdAt: createdAt.toISOString() };
}
