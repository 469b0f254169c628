import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import { type Caller, type Permission, teamsOf } from '#contract/caller.ts';
import { isDuplicate } from '#database/faults.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { principalOf } from '../principal.ts';
import { mustHold, mustHoldAllOf } from '../roles.ts';
import { keepRole } from './custom-roles.ts';
import {
  deleteServiceAccount,
  findServiceAccount,
  insertServiceAccount,
  listServiceAccounts,
  lockServiceAccount,
  type ServiceAccountRow,
  updateServiceAccount,
} from './service-account-store.ts';
import { addMember } from './teams.ts';

export interface NewServiceAccount {
  readonly name: string;
  readonly role: string;
  readonly teams: readonly { readonly team: string; readonly role: string | null }[];
}

export interface ServiceAccountChange {
  readonly name?: string | undefined;
  readonly role?: string | undefined;
  readonly disabled?: boolean | undefined;
}

/**
 * Accounts of machines. Whoever has the permission in some teams only sees and changes those that belong to these
 * teams and no other; and nobody changes one, or makes a token of one, that may do more than they.
 */
export interface ServiceAccounts {
  list(caller: Caller): Promise<readonly ServiceAccountRow[]>;
  /** @throws Fault SERVICE_ACCOUNT_NOT_FOUND */
  get(caller: Caller, id: string): Promise<ServiceAccountRow>;
  /** @throws Fault SERVICE_ACCOUNT_EXISTS | ROLE_NOT_FOUND | TEAM_NOT_FOUND | GRANT_BEYOND_OWN | FORBIDDEN */
  create(caller: Caller, wish: NewServiceAccount): Promise<ServiceAccountRow>;
  /** @throws Fault SERVICE_ACCOUNT_NOT_FOUND | SERVICE_ACCOUNT_EXISTS | ROLE_NOT_FOUND | GRANT_BEYOND_OWN */
  change(caller: Caller, id: string, change: ServiceAccountChange): Promise<ServiceAccountRow>;
  /** @throws Fault SERVICE_ACCOUNT_NOT_FOUND | GRANT_BEYOND_OWN */
  remove(caller: Caller, id: string): Promise<ServiceAccountRow>;
  /** One in whose place the caller may act. @throws Fault SERVICE_ACCOUNT_NOT_FOUND | GRANT_BEYOND_OWN */
  inPlaceOf(caller: Caller, id: string): Promise<ServiceAccountRow>;
}

export function createServiceAccounts({ database, clock }: { database: Database; clock: Clock }): ServiceAccounts {
  const get = async (caller: Caller, id: string) => find(database, caller, 'service-account:read', id);
  return {
    list: async (caller) =>
      (await listServiceAccounts(database)).filter((account) => sees(caller, 'service-account:read', account)),
    get,
    create: async (caller, { name, role, teams }) => {
      const id = newId('serviceAccount', clock.now());
      await database
        .transaction(async (tx) => {
          const inheriting = teams.filter((each) => each.role === null).map(({ team }) => team);
          mustHold(caller, await keepRole(tx, role), inheriting);
          mayOwn(
            caller,
            teams.map(({ team }) => team),
          );
          await insertServiceAccount(tx, { id, name, role, created_by: caller.name });
          // In one order everywhere, so that two at once cannot wait for each other.
          const sorted = [...teams].sort((a, b) => (a.team < b.team ? -1 : 1));
          for (const each of sorted) await addMember(tx, caller, { ...each, userId: id });
        })
        .catch(taken(name));
      return find(database, caller, 'service-account:write', id);
    },
    change: async (caller, id, { name, role, disabled }) => {
      await database
        .transaction(async (tx) => {
          await lockServiceAccount(tx, id);
          const { memberships } = await reach(tx, caller, id);
          const teams = memberships.filter((each) => each.role === null).map(({ team }) => team);
          if (role !== undefined) mustHold(caller, await keepRole(tx, role), teams);
          await updateServiceAccount(tx, id, { name, role, disabled });
        })
        .catch(taken(name));
      return find(database, caller, 'service-account:write', id);
    },
    remove: (caller, id) =>
      database.transaction(async (tx) => {
        await lockServiceAccount(tx, id);
        const account = await reach(tx, caller, id);
        await deleteServiceAccount(tx, id);
        return account;
      }),
    inPlaceOf: (caller, id) => reach(database, caller, id),
  };
}

/** What the caller may not see is not there. */
async function find(db: Queryable, caller: Caller, permission: Permission, id: string): Promise<ServiceAccountRow> {
  const account = await findServiceAccount(db, id);
  if (account === undefined || !sees(caller, permission, account))
    throw new Fault('SERVICE_ACCOUNT_NOT_FOUND', { account: id });
  return account;
}

async function reach(db: Queryable, caller: Caller, id: string): Promise<ServiceAccountRow> {
  const account = await find(db, caller, 'service-account:write', id);
  const may = principalOf(account)?.may;
  if (may !== undefined) mustHoldAllOf(caller, may);
  return account;
}

function sees(caller: Caller, permission: Permission, { memberships }: ServiceAccountRow): boolean {
  const teams = teamsOf(caller, permission);
  return teams === 'all' || (memberships.length > 0 && memberships.every(({ team }) => teams.includes(team)));
}

/** An account without a team is the organization's. */
function mayOwn(caller: Caller, teams: readonly string[]): void {
  const own = teamsOf(caller, 'service-account:write');
  if (own === 'all' || (teams.length > 0 && teams.every((team) => own.includes(team)))) return;
  throw new Fault('FORBIDDEN', { actor: caller.name, permission: 'service-account:write' });
}

const taken = (name: string | undefined) => (error: unknown) => {
  throw isDuplicate(error) ? new Fault('SERVICE_ACCOUNT_EXISTS', { name }) : error;
};
