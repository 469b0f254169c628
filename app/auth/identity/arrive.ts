import type { Actor, Audit } from '#audit/audit.ts';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { Database } from '#database/pool.ts';
import type { Invitations } from '../people/invitations.ts';
import type { People, Person } from '../people/people.ts';
import { claimAccount, recordClaim } from '../sign-in/claim.ts';
import type { SignInLimits } from '../sign-in/limits.ts';
import type { Begun, Sessions } from '../sign-in/sessions.ts';
import { beginMapping, decideRole, groupsOf, standardRole, teamsOf } from './mapping.ts';
import { type Identity, makesPeople, membershipSource, type Provider } from './provider.ts';
import { findLinked, linkAccount, touchLink } from './store.ts';

export interface ArriveDependencies {
  readonly database: Database;
  readonly people: People;
  readonly invitations: Pick<Invitations, 'acceptFor'>;
  readonly sessions: Pick<Sessions, 'begin'>;
  readonly limits: Pick<SignInLimits, 'trust'>;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
}

/** Signs in whom a provider has shown: finds or makes the person, takes over role and teams, begins the session. */
export type Arrive = (provider: Provider, identity: Identity, request: RequestFacts) => Promise<Begun>;

/**
 * A linked account is its person, whatever the e-mail address says now. Else the address finds the person, if the
 * provider vouches for it; else an invitation to this address makes the person, with its role and team; else one is
 * made, where the provider may.
 *
 * The role mapping comes after all of that, at a first sign-in as at later ones: a rule that matches has the last word
 * on the role. The default role has it too, but for one who was invited and whom this provider maps only once.
 *
 * Faults: IDENTITY_DOMAIN | IDENTITY_DENIED | IDENTITY_EMAIL_UNVERIFIED | IDENTITY_UNKNOWN | IDENTITY_LINKED_OTHERWISE |
 * IDENTITY_CLAIMS_TOO_LARGE | IDENTITY_MAPPING_TOO_COSTLY | ACCOUNT_DISABLED
 */
export function createArrive(dependencies: ArriveDependencies): Arrive {
  const { database, people, sessions, limits, audit, clock } = dependencies;
  return async (provider, identity, request) => {
    checkSubject(provider, identity);
    checkDomain(provider, identity);
    const mapping = beginMapping(identity.claims);
    const role = decideRole(provider.config.roleMapping, mapping);
    if (!role.allowed) throw new Fault('IDENTITY_DENIED', { provider: provider.name });
    // Before anything is changed: it may be too much to look at.
    const { teamSync } = provider.config;
    const groups = teamSync === undefined ? undefined : groupsOf(teamSync, mapping);
    const { person, isNew, isInvited } = await findOrMake(dependencies, provider, identity, role.role, request);
    const actor = actorOf(person);
    // Who may not come in is changed in nothing; `begin` says so.
    const mayComeIn = !person.disabled;
    const isMapped =
      provider.config.roleMapping?.skipSync !== true || (isNew && !(isInvited && role.rule === undefined));
    if (mayComeIn && role.role !== undefined && isMapped) await takeRole(dependencies, provider, person, role.role);
    if (mayComeIn) await takeTeams(dependencies, provider, person, groups);
    const begun = await sessions.begin(person.id, request, provider.name);
    // Where a second factor is due, the sign-in is not done yet.
    if (begun.session.secondFactor !== 'due') await limits.trust(request.address, person.email);
    const isAdministrator = (await people.find(person.id))?.role === 'admin';
    const { subject } = identity;
    await touchLink(database, { provider: provider.id, subject, isAdministrator, now: clock.now() });
    await audit.record({
      actor: { ...actor, credential: `session:${begun.session.id}` },
      action: 'signIn',
      target: `identity-providers/${provider.name}`,
      outcome: 'done',
      ...senderOf(request),
      detail: { provider: provider.name, new: isNew },
    });
    return begun;
  };
}

/** The standards allow 255 characters; what is kept in an index must have some bound. */
function checkSubject({ name }: Provider, { subject }: Identity): void {
  if (subject !== '' && subject.length <= 500 && !subject.includes('\0')) return;
  throw new Fault('IDENTITY_ANSWER_INVALID', { provider: name, why: 'its subject is empty or too long' });
}

function checkDomain({ name, config }: Provider, { email, emailVerified }: Identity): void {
  if (config.domains.length === 0) return;
  const domain = email?.slice(email.lastIndexOf('@') + 1).toLowerCase();
  if (domain !== undefined && emailVerified && config.domains.includes(domain)) return;
  if (domain === undefined || !emailVerified) throw new Fault('IDENTITY_EMAIL_UNVERIFIED', { provider: name });
  throw new Fault('IDENTITY_DOMAIN', { domain, provider: name });
}

async function findOrMake(
  dependencies: ArriveDependencies,
  provider: Provider,
  identity: Identity,
  role: string | undefined,
  request: RequestFacts,
): Promise<{ person: Person; isNew: boolean; isInvited?: boolean }> {
  const { database, people } = dependencies;
  const { subject, email, emailVerified } = identity;
  const linked = await findLinked(database, provider.id, subject);
  const known = linked === undefined ? undefined : await people.find(linked);
  if (known !== undefined) return { person: known, isNew: false };
  if (email === undefined || !emailVerified) throw new Fault('IDENTITY_EMAIL_UNVERIFIED', { provider: provider.name });
  const present = await people.findByEmail(email);
  const invited =
    present === undefined ? await redeem(dependencies, provider, { ...identity, email }, request) : undefined;
  const person = present ?? invited ?? (await make(people, provider, { ...identity, email }, role));
  await link(dependencies, provider, subject, person, request);
  return { person, isNew: true, isInvited: invited !== undefined };
}

/** The person of an invitation, also where the provider makes nobody: who invites has said who comes in. */
async function redeem(
  { people, invitations, audit }: ArriveDependencies,
  provider: Provider,
  { email, name }: Identity & { readonly email: string },
  request: RequestFacts,
): Promise<Person | undefined> {
  const redeemed = await invitations.acceptFor(email, { name: nameOf(name, email) }).catch((error: unknown) => {
    if (!Fault.is(error, 'PERSON_EXISTS')) throw error;
  });
  const person = redeemed === undefined ? undefined : await people.find(redeemed.id);
  // The same person in another window may have been faster, and has used it up.
  if (redeemed === undefined || person === undefined) return people.findByEmail(email);
  const { id, role, team } = redeemed.invitation;
  await audit.record({
    actor: actorOf(person),
    action: 'acceptInvitation',
    target: `invitations/${id}`,
    outcome: 'done',
    ...senderOf(request),
    after: { email: person.email, role, team },
    detail: { provider: provider.name, person: person.id },
  });
  return person;
}

async function make(
  people: People,
  provider: Provider,
  { email, name }: Identity & { readonly email: string },
  role: string | undefined,
): Promise<Person> {
  if (!makesPeople(provider.config)) throw new Fault('IDENTITY_UNKNOWN', { provider: provider.name });
  const wanted = role ?? provider.config.roleMapping?.defaultRole ?? standardRole;
  const create = (given: string) =>
    people.create({
      email,
      name: nameOf(name, email),
      role: given,
      emailVerified: true,
    });
  try {
    // A role that was deleted since the mapping was saved gives what everybody has.
    return await create(wanted).catch((error: unknown) => {
      if (Fault.is(error, 'ROLE_NOT_FOUND') && wanted !== standardRole) return create(standardRole);
      throw error;
    });
  } catch (error) {
    // The same person in another window was faster.
    const made = Fault.is(error, 'PERSON_EXISTS') ? await people.findByEmail(email) : undefined;
    if (made === undefined) throw error;
    return made;
  }
}

async function link(
  { database, audit, log }: ArriveDependencies,
  provider: Provider,
  subject: string,
  person: Person,
  request: RequestFacts,
): Promise<void> {
  const { claimed, owner } = await database.transaction(async (tx) => ({
    claimed: await claimAccount(tx, person.id),
    owner: await linkAccount(tx, { provider: provider.id, subject, userId: person.id }),
  }));
  await recordClaim(audit, { person, claimed, by: provider.name, request });
  if (owner !== person.id) throw new Fault('IDENTITY_LINKED_OTHERWISE', { provider: provider.name });
  const facts = { provider: provider.name, person: person.id, claimed: claimed !== undefined };
  log.info(facts, 'account of an identity provider linked');
}

/** The last administrator stays one, whatever the provider says. */
async function takeRole(
  { people, audit, log }: ArriveDependencies,
  provider: Provider,
  person: Person,
  role: string,
): Promise<void> {
  if (person.role === role) return;
  const record = (outcome: 'done' | 'denied', why: string) =>
    audit.record({
      actor: { id: provider.id, name: `identity:${provider.name}`, kind: 'system' },
      action: 'mapRole',
      target: `people/${person.id}`,
      outcome,
      before: { role: person.role },
      after: { role },
      detail: { from: person.role, to: role, why },
    });
  try {
    await people.setRole(person.id, role);
    await record('done', 'role mapping');
  } catch (error) {
    if (!Fault.is(error, 'LAST_ADMINISTRATOR') && !Fault.is(error, 'ROLE_NOT_FOUND')) throw error;
    log.warn({ provider: provider.name, person: person.id, role, reason: error.code }, 'mapped role was not given');
    await record('denied', error.code);
  }
}

async function takeTeams(
  { people, log }: ArriveDependencies,
  provider: Provider,
  person: Person,
  groups: readonly string[] | undefined,
): Promise<void> {
  const sync = provider.config.teamSync;
  if (sync === undefined) return;
  if (groups === undefined)
    return log.warn(
      { provider: provider.name, person: person.id },
      'the provider sent too many groups to name them; teams stay as they are',
    );
  await people.syncTeams(person.id, membershipSource(provider), teamsOf(sync, groups).teams);
}

const nameOf = (name: string, email: string) => name.replace(/\p{C}/gu, '').trim().slice(0, 200) || email;

const senderOf = ({ address, id, header }: RequestFacts) => ({
  address,
  userAgent: header('user-agent')?.slice(0, 200) ?? '',
  requestId: id,
});

const actorOf = ({ id, email }: Person): Actor => ({ id, name: email, kind: 'user' });
