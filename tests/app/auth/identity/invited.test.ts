import { beforeAll, describe, expect, test } from 'vitest';
import type { Caller } from '#contract/caller.ts';
import { useCompany } from '#support/company.ts';
import { administrator } from '#support/http.ts';

const company = useCompany();
const { db, configure, signIn } = company;

let host: Caller;
beforeAll(async () => {
  const id = await company.plinth.person('host@example.com', 'seven silent owls', 'admin');
  host = { ...administrator, id, name: 'host@example.com' };
});

const invite = (wish: { email?: string; role?: string; team?: string } = {}) =>
  company.plinth.invitations.create(host, {
    email: company.email,
    role: 'editor',
    team: 'shop',
    send: 'link',
    ...wish,
  });
const waiting = async () => (await company.plinth.invitations.list()).map(({ id }) => id);
const tokenIn = (link: { reveal(): string } | undefined) =>
  new URL(link?.reveal() ?? 'x:').searchParams.get('token') ?? '';
const facts = (action: string) => company.plinth.audited.filter((entry) => entry.action === action);

describe('somebody invited who comes by an identity provider', () => {
  test('becomes the person of the invitation where the provider makes nobody', async () => {
    await configure({ createPeople: false });
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_UNKNOWN');
    const { id, link } = await invite({ email: company.email.toUpperCase() });
    const { browser, end } = await signIn();
    expect(end).toBe('/account');
    const person = await company.plinth.whoIs(browser);
    expect(person).toMatchObject({
      email: company.email,
      name: `Person ${company.number}`,
      role: 'editor',
      emailVerified: true,
      memberships: [{ team: 'shop', role: null, source: 'manual' }],
      via: 'Company',
    });
    expect(await waiting()).not.toContain(id);
    await expect(company.plinth.invitations.read(tokenIn(link))).rejects.toMatchObject({ code: 'LINK_INVALID' });
    expect(facts('acceptInvitation').at(-1)).toMatchObject({
      actor: { id: person?.id, name: company.email },
      target: `invitations/${id}`,
      outcome: 'done',
      address: '127.0.0.1',
      requestId: expect.stringMatching(/^req_/),
      after: { email: company.email, role: 'editor', team: 'shop' },
      detail: { provider: 'Company', person: person?.id },
    });
    // From then on the account is linked.
    expect((await company.plinth.whoIs((await signIn()).browser))?.id).toBe(person?.id);
    expect(facts('acceptInvitation').filter(({ target }) => target === `invitations/${id}`)).toHaveLength(1);
  });

  test('by an address that the provider does not vouch for is nobody, and the invitation waits', async () => {
    await configure({ createPeople: false });
    company.idp.person = { ...company.idp.person, email_verified: false };
    const { id } = await invite();
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
    expect(await waiting()).toContain(id);
    expect(await company.plinth.people.findByEmail(company.email)).toBeUndefined();
  });

  test('whom the mapping refuses is refused, and the invitation waits', async () => {
    await configure({ createPeople: false, roleMapping: { rules: [], strict: true } });
    const { id } = await invite();
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_DENIED');
    expect(await waiting()).toContain(id);
  });

  test('what the one who invited may no longer grant makes nobody', async () => {
    await configure({ createPeople: false });
    const other = await company.plinth.person('lost@example.com', 'seven silent owls', 'admin');
    const lost = { ...host, id: other };
    const wish = { email: company.email, role: 'admin', team: undefined, send: 'link' } as const;
    await company.plinth.invitations.create(lost, wish);
    await company.plinth.people.setRole(other, 'viewer');
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_UNKNOWN');
    // An older one of somebody who may still counts.
    await db.database.query(`update invitations set id = 'inv_zz' || right(id, 4) where email = $1`, [company.email]);
    await invite({ role: 'viewer' });
    expect((await company.plinth.whoIs((await signIn()).browser))?.role).toBe('viewer');
  });

  test('a late one makes nobody', async () => {
    await configure({ createPeople: false });
    await invite();
    await db.database.query(`update invitations set expires_at = now() where email = $1`, [company.email]);
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_UNKNOWN');
  });

  test('changes nothing of somebody who has an account', async () => {
    const { id } = await invite();
    await company.plinth.people.create({ email: company.email, name: 'Old', role: 'viewer', emailVerified: true });
    const person = await company.plinth.whoIs((await signIn()).browser);
    expect(person).toMatchObject({ name: 'Old', role: 'viewer', memberships: [] });
    expect(await waiting()).toContain(id);
  });

  test('in two windows at once becomes one person', async () => {
    await configure({ createPeople: false });
    const { id } = await invite();
    const all = await Promise.all([signIn(), signIn(), signIn()]);
    const ids = await Promise.all(all.map(async ({ browser }) => (await company.plinth.whoIs(browser))?.id));
    expect(ids[0]).toBeDefined();
    expect(new Set(ids).size).toBe(1);
    expect(facts('acceptInvitation').filter(({ target }) => target === `invitations/${id}`)).toHaveLength(1);
  });

  test('with AUTH_DISABLE_INVITATIONS is unknown', async () => {
    await configure({ createPeople: false });
    const { id } = await invite();
    company.plinth.open({ invitations: company.plinth.openInvitations(false) });
    try {
      expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_UNKNOWN');
    } finally {
      company.plinth.open();
    }
    expect(await waiting()).toContain(id);
  });
});

describe('role mapping of somebody invited', () => {
  const rules = [{ expression: '{{includes groups "makers"}}', role: 'admin' }];
  const roleFor = async (groups: readonly string[]) => {
    company.idp.person = { ...company.idp.person, groups };
    return (await company.plinth.whoIs((await signIn()).browser))?.role;
  };

  test('a rule that matches has the last word, and the team stays', async () => {
    await configure({ createPeople: false, roleMapping: { rules } });
    await invite();
    expect(await roleFor(['makers'])).toBe('admin');
    const person = await company.plinth.people.findByEmail(company.email);
    expect(person?.memberships.map(({ team }) => team)).toEqual(['shop']);
    expect(facts('mapRole').at(-1)).toMatchObject({ outcome: 'done', detail: { from: 'editor', to: 'admin' } });
  });

  test('a mapping that is kept in step gives its default role, as at every sign-in', async () => {
    await configure({ createPeople: false, roleMapping: { rules, defaultRole: 'viewer' } });
    await invite();
    expect(await roleFor([])).toBe('viewer');
    expect(await roleFor([])).toBe('viewer');
  });

  test('the default role of a mapping that counts once does not take the invited role away', async () => {
    await configure({ createPeople: false, roleMapping: { rules, defaultRole: 'viewer', skipSync: true } });
    await invite();
    expect(await roleFor([])).toBe('editor');
    expect(await roleFor(['makers'])).toBe('editor');
  });
});
