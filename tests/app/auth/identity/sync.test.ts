import { describe, expect, test } from 'vitest';
import { useCompany } from '#support/company.ts';

const company = useCompany();
const { db, configure, signIn } = company;

describe('role mapping', () => {
  const mapping = {
    rules: [
      { expression: '{{#includes groups "admins"}}true{{/includes}}', role: 'admin' },
      { expression: '{{includes groups "makers"}}', role: 'editor' },
      { expression: '{{#includes groups "both"}}true{{/includes}}', role: 'viewer' },
    ],
  };
  const roleFor = async (groups: unknown) => {
    company.idp.person = { ...company.idp.person, groups };
    const { browser, end } = await signIn();
    return (await company.plinth.whoIs(browser))?.role ?? end;
  };

  test('the first rule that matches gives the role, at each sign-in', async () => {
    await company.plinth.person('always@example.com', 'seven silent owls', 'admin');
    await configure({ roleMapping: mapping });
    expect(await roleFor(['Makers', 'both'])).toBe('editor');
    expect(await roleFor(['both'])).toBe('viewer');
    expect(await roleFor(['admins', 'makers'])).toBe('admin');
    expect(await roleFor([])).toBe('viewer');
    expect(company.plinth.audited.filter(({ action }) => action === 'mapRole').at(-1)).toMatchObject({
      outcome: 'done',
      detail: { from: 'admin', to: 'viewer' },
    });
  });

  test('the default role is for whom no rule matches; strict refuses them', async () => {
    await configure({ roleMapping: { ...mapping, defaultRole: 'editor' } });
    expect(await roleFor(['nothing'])).toBe('editor');
    await configure({ roleMapping: { ...mapping, strict: true } });
    expect(await roleFor(['nothing'])).toBe('/sign-in?error=IDENTITY_DENIED');
    expect(await roleFor(['makers'])).toBe('editor');
  });

  test('strict makes nobody', async () => {
    await configure({ roleMapping: { ...mapping, strict: true } });
    expect(await roleFor([])).toBe('/sign-in?error=IDENTITY_DENIED');
    expect(await company.plinth.people.findByEmail(company.email)).toBeUndefined();
  });

  test('with skipSync only the first sign-in counts', async () => {
    await configure({ roleMapping: { ...mapping, skipSync: true } });
    expect(await roleFor(['makers'])).toBe('editor');
    expect(await roleFor([])).toBe('editor');
  });

  test('claims that are too many, or too much work for the rules, sign nobody in and are told', async () => {
    const groups = Array.from({ length: 20_000 }, (_, index) => `g${index}`);
    const rules = [
      { expression: '{{#each groups}}{{contains @root.groups "zzz"}}{{/each}}', role: 'viewer' },
      { expression: 'true', role: 'admin' },
    ];
    await configure({ roleMapping: { rules } });
    expect(await roleFor(groups)).toBe('/sign-in?error=IDENTITY_CLAIMS_TOO_LARGE');
    // No rule is passed over because one before it was not finished.
    expect(await roleFor(groups.slice(0, 2000))).toBe('/sign-in?error=IDENTITY_MAPPING_TOO_COSTLY');
    await configure({ teamSync: { groupsExpression: rules[0]?.expression, teams: [] } });
    expect(await roleFor(groups.slice(0, 2000))).toBe('/sign-in?error=IDENTITY_MAPPING_TOO_COSTLY');
    expect(await company.plinth.people.findByEmail(company.email)).toBeUndefined();
    expect(company.plinth.log.lines().at(-1)).toMatchObject({ level: 'warn', code: 'IDENTITY_MAPPING_TOO_COSTLY' });
    expect(company.plinth.audited.at(-1)).toMatchObject({
      action: 'signIn',
      outcome: 'denied',
      detail: { code: 'IDENTITY_MAPPING_TOO_COSTLY' },
    });
  });

  test('the last administrator stays one', async () => {
    await configure({ roleMapping: mapping });
    expect(await roleFor(['admins'])).toBe('admin');
    const me = await company.plinth.people.findByEmail(company.email);
    await db.database.query(`update auth."user" set role = 'viewer' where role = 'admin' and id <> $1`, [me?.id]);
    expect(await roleFor([])).toBe('admin');
    expect(company.plinth.audited.filter(({ action }) => action === 'mapRole').at(-1)).toMatchObject({
      outcome: 'denied',
      detail: { from: 'admin', to: 'viewer', why: 'LAST_ADMINISTRATOR' },
    });
    expect(company.plinth.log.lines().some(({ msg }) => msg === 'mapped role was not given')).toBe(true);
  });
});

describe('team sync', () => {
  const teamSync = {
    teams: [
      { group: 'Shop-People', team: 'shop' },
      { group: 'cn=tools,dc=example', team: 'tools' },
      { group: 'ghosts', team: 'gone' },
    ],
  };
  const teamsFor = async (groups: unknown) => {
    company.idp.person = { ...company.idp.person, groups };
    const me = await company.plinth.whoIs((await signIn()).browser);
    return me?.memberships.map(({ team, source }) => `${team} ${source === 'manual' ? source : 'synced'}`).toSorted();
  };

  test('groups bring teams and take them away, and manual members stay', async () => {
    await configure({ teamSync });
    expect(await teamsFor(['shop-people', 'CN=Tools,DC=Example', 'ghosts', 'other'])).toEqual([
      'shop synced',
      'tools synced',
    ]);
    const me = await company.plinth.people.findByEmail(company.email);
    await db.database.query(`insert into members (team, user_id) values ('ops', $1), ('shop', $1)`, [me?.id]);
    expect(await teamsFor(['cn=tools,dc=example'])).toEqual(['ops manual', 'shop manual', 'tools synced']);
    expect(await teamsFor([])).toEqual(['ops manual', 'shop manual']);
  });

  test('what groups brought goes with the sync itself', async () => {
    await configure({ teamSync });
    expect(await teamsFor(['shop-people'])).toEqual(['shop synced']);
    await configure({});
    expect((await company.plinth.people.findByEmail(company.email))?.memberships).toEqual([]);
  });

  test('teams stay as they are when the provider has too many groups to name them', async () => {
    await configure({ teamSync });
    expect(await teamsFor(['shop-people'])).toEqual(['shop synced']);
    company.idp.person = { ...company.idp.person, groups: undefined, hasgroups: true };
    const me = await company.plinth.whoIs((await signIn()).browser);
    expect(me?.memberships.map(({ team }) => team)).toEqual(['shop']);
  });

  test('a template finds the groups where the provider has them', async () => {
    const groupsExpression = '{{#each groups}}{{this.name}},{{/each}}';
    await configure({ teamSync: { ...teamSync, groupsExpression } });
    expect(await teamsFor([{ name: 'shop-people' }])).toEqual(['shop synced']);
  });
});
