import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { goodPassword, openAccess, type TestAccess } from '#support/access.ts';
import { basic } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
type Sent = Record<string, string>;

let access: TestAccess;
let root: Sent;
beforeAll(async () => {
  access = await openAccess(db);
  root = await signedIn((await access.person('root@example.com', 'admin')).id);
  await access.teams.put('shop', '');
  await access.teams.put('blog', '');
});
afterAll(() => access.close());

const signedIn = async (id: string): Promise<Sent> => {
  const { cookie, csrf } = await access.sessionOf(id);
  return { ...cookie, ...csrf };
};
const send = (headers: Sent, method: string, path: string, body?: unknown) =>
  access.send(method, `/api/v1/invitations${path}`, headers, body);
let guests = 0;
const guest = () => `guest${++guests}@example.com`;
const tokenIn = (link: string) => new URL(link).searchParams.get('token') ?? '';
async function invite(wish: object = {}, headers = root) {
  const email = guest();
  const reply = await send(headers, 'POST', '', { email, role: 'editor', team: 'shop', ...wish });
  return {
    email,
    status: reply.status,
    code: reply.code,
    invitation: reply.json,
    token: tokenIn(reply.json.link ?? 'x:'),
  };
}
const accept = (token: string, more: object = {}) =>
  send({}, 'POST', '/accept', { token, name: 'Guest', password: goodPassword, ...more });

describe('an invitation', () => {
  test('makes an account in its team, once', async () => {
    const { email, token, invitation } = await invite();
    expect(invitation).toMatchObject({ email, role: 'editor', team: 'shop' });
    expect(Date.parse(invitation.expiresAt) - Date.parse(invitation.createdAt)).toBe(7 * 86_400_000);
    expect((await send({}, 'POST', '/read', { token })).json).toEqual({
      email,
      team: 'shop',
      expiresAt: invitation.expiresAt,
    });
    const accepted = await accept(token);
    expect(accepted).toMatchObject({ status: 201, json: { email } });
    expect(await access.people.find(accepted.json.id)).toMatchObject({
      email,
      name: 'Guest',
      role: 'editor',
      emailVerified: false,
      memberships: [{ team: 'shop', role: null, source: 'manual' }],
    });
    expect((await access.send('GET', '/api/v1/me', basic(email, goodPassword))).json).toMatchObject({
      teams: ['shop'],
    });
    for (const again of [await accept(token), await send({}, 'POST', '/read', { token })])
      expect([again.status, again.code]).toEqual([400, 'LINK_INVALID']);
  });

  test('that was mailed is shown to nobody else, and proves the address', async () => {
    const { email, invitation } = await invite({ send: 'mail' });
    expect(invitation.link).toBeNull();
    const mail = access.mails.find(({ to }) => to === email);
    const [link = ''] = /https:\S+/.exec(mail?.text ?? '') ?? [];
    expect((await accept(tokenIn(link))).status).toBe(201);
    expect((await access.people.findByEmail(email))?.emailVerified).toBe(true);
  });

  test('is kept as a digest only, and no list shows its link', async () => {
    const { token } = await invite();
    const { rows } = await db.database.query('select *, encode(hash, $1) as hex from invitations', ['hex']);
    expect(JSON.stringify(rows)).not.toContain(token);
    expect((await send(root, 'GET', '')).text).not.toContain(token);
  });

  test('accepted twice at once makes one account', async () => {
    const { token, email } = await invite();
    const both = await Promise.all([accept(token), accept(token), accept(token)]);
    expect(both.map(({ status }) => status).sort()).toEqual([201, 400, 400]);
    expect((await access.people.list({ self: '', text: email, limit: 9 })).length).toBe(1);
  });

  test.each([
    ['a wrong one', () => 'A'.repeat(43)],
    ['nonsense', () => "' or true --"],
    ['nothing', () => ''],
  ])('%s is invalid', async (_what, token) => {
    expect([(await accept(token())).code, (await send({}, 'POST', '/read', { token: token() })).code]).toEqual([
      'LINK_INVALID',
      'LINK_INVALID',
    ]);
  });

  test('ends after 7 days, or when it is taken back', async () => {
    const { token, invitation } = await invite();
    expect((await send(root, 'DELETE', `/${invitation.id}`)).status).toBe(204);
    expect((await accept(token)).code).toBe('LINK_INVALID');
    expect((await send(root, 'DELETE', `/${invitation.id}`)).code).toBe('INVITATION_NOT_FOUND');
    const late = await invite();
    access.time.laterMs += 7 * 86_400_000 + 1000;
    expect((await accept(late.token)).code).toBe('LINK_INVALID');
    root = await signedIn((await access.people.findByEmail('root@example.com'))?.id ?? '');
    expect((await send(root, 'GET', '')).json.items).toEqual([]);
  });

  test('role, team and address stand in it and nowhere in what accepts it', async () => {
    const { token } = await invite();
    for (const more of [{ role: 'admin' }, { email: 'else@example.com' }, { team: 'blog' }, { emailVerified: true }])
      expect((await accept(token, more)).code).toBe('REQUEST_INVALID');
  });

  test('a password that is easy to guess does not use it up', async () => {
    const { token } = await invite();
    expect((await accept(token, { password: 'password1234' })).code).toBe('PASSWORD_WEAK');
    expect((await accept(token)).status).toBe(201);
  });

  test('for an address that has an account is refused when it is made, and when it is accepted', async () => {
    const { email, token } = await invite();
    await access.person(email, 'viewer');
    expect((await accept(token)).code).toBe('PERSON_EXISTS');
    const again = await send(root, 'POST', '', { email: ` ${email.toUpperCase()} `, role: 'viewer' });
    expect([again.status, again.code]).toEqual([409, 'PERSON_EXISTS']);
  });

  test('of a team or a role that is not there is refused', async () => {
    expect((await invite({ team: 'nowhere' })).code).toBe('TEAM_NOT_FOUND');
    expect((await invite({ role: 'nobody' })).code).toBe('ROLE_NOT_FOUND');
  });
});

describe('whoever invites', () => {
  const somebody = async (role: string) => {
    const { id } = await access.person(guest(), role);
    return { id, headers: await signedIn(id) };
  };

  test('grants nothing any more when they lost it, are disabled or gone', async () => {
    const { id, headers } = await somebody('admin');
    const tokens = await Promise.all([1, 2, 3].map(async () => (await invite({ role: 'admin' }, headers)).token));
    const [first = '', second = '', third = ''] = tokens;
    await access.people.setRole(id, 'editor');
    expect((await accept(first)).code).toBe('LINK_INVALID');
    await access.people.setRole(id, 'admin');
    await access.people.setDisabled(id, true);
    expect((await accept(second)).code).toBe('LINK_INVALID');
    await access.people.setDisabled(id, false);
    expect((await accept(first)).status).toBe(201);
    await access.people.remove(id);
    expect((await accept(third)).code).toBe('LINK_INVALID');
  });

  test('of a team invites into that team only, and sees its invitations only', async () => {
    const caller = await access.callerWith(root);
    const grants = { 'invitation:read': 'team', 'invitation:write': 'team', 'project:read': 'team' } as const;
    await access.roles.put(caller, { name: 'host', about: '', grants });
    await access.roles.put(caller, { name: 'reader', about: '', grants: { 'project:read': 'team' } });
    const { id, headers } = await somebody('viewer');
    await access.teams.putMember(caller, { team: 'shop', userId: id, role: 'host' });
    const own = await invite({ role: 'reader' }, headers);
    expect(own.status).toBe(201);
    expect((await invite({ role: 'reader', team: 'blog' }, headers)).code).toBe('FORBIDDEN');
    expect((await invite({ role: 'reader', team: undefined }, headers)).code).toBe('FORBIDDEN');
    expect((await invite({ role: 'editor' }, headers)).code).toBe('GRANT_BEYOND_OWN');
    const other = await invite({ team: 'blog' });
    const seen = (await send(headers, 'GET', '')).json.items.map(({ team }: { team: string }) => team);
    expect(new Set(seen)).toEqual(new Set(['shop']));
    expect((await send(headers, 'DELETE', `/${other.invitation.id}`)).code).toBe('INVITATION_NOT_FOUND');
    expect((await accept(own.token)).status).toBe(201);
  });
});

test('who is invited once more comes in by the newer link alone, with what that one says', async () => {
  const email = guest();
  const tokens: string[] = [];
  for (const role of ['editor', 'viewer']) {
    const { json } = await send(root, 'POST', '', { email, role, team: 'shop' });
    tokens.push(tokenIn(json.link));
  }
  const accept = (token = '') => send({}, 'POST', '/accept', { token, name: 'Gus', password: goodPassword });
  expect([(await accept(tokens[0])).code, (await accept(tokens[1])).status]).toEqual(['LINK_INVALID', 201]);
  expect((await access.people.findByEmail(email))?.role).toBe('viewer');
});

describe('turned off', () => {
  test('by AUTH_DISABLE_INVITATIONS: none is made, read or accepted', async () => {
    const { token } = await invite();
    const closed = await openAccess(db, { invitations: false });
    try {
      const asked = [
        ['', { email: guest(), role: 'viewer' }, root],
        ['/read', { token }, {}],
        ['/accept', { token, name: 'x', password: goodPassword }, {}],
      ] as const;
      for (const [path, body, headers] of asked) {
        const { status, code } = await closed.send('POST', `/api/v1/invitations${path}`, headers, body);
        expect([status, code]).toEqual([403, 'INVITATIONS_OFF']);
      }
    } finally {
      await closed.close();
    }
  });

  test('without a mail server none is mailed', async () => {
    const silent = await openAccess(db, { mail: false });
    try {
      const wish = { email: guest(), role: 'viewer', send: 'mail' };
      expect((await silent.send('POST', '/api/v1/invitations', root, wish)).code).toBe('MAIL_OFF');
      expect((await silent.send('POST', '/api/v1/invitations', root, { ...wish, send: 'link' })).status).toBe(201);
    } finally {
      await silent.close();
    }
  });
});
