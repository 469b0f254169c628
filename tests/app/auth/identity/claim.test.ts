import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTokens } from '#auth/tokens.ts';
import { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import { useCompany } from '#support/company.ts';
import { administrator } from '#support/http.ts';
import { factsOf } from '#support/sign-in.ts';

/**
 * Somebody else made an account under an address, before the owner of its mailbox came: whatever they left in it to come
 * back by is gone once the owner has proven the address, whichever way.
 */
const company = useCompany();
const { db, configure, signIn } = company;
const squatters = new Secret('seven silent owls');
const owners = new Secret('nine loud herons');
let host: Caller;
beforeAll(async () => {
  const id = await company.plinth.person('host@example.com', 'seven silent owls', 'admin');
  host = { ...administrator, id, name: 'host@example.com' };
});

/** Links to accounts of providers, made before. */
const linkTo = (provider: string, id: string, subject: string) =>
  db.database.query('insert into identity_links (provider, subject, user_id) values ($1, $2, $3)', [
    provider,
    subject,
    id,
  ]);

async function squat() {
  const { plinth, email } = company;
  const wish = { email, role: 'editor', team: undefined, send: 'link' } as const;
  const { link } = await plinth.invitations.create(host, wish);
  const token = new URL(link?.reveal() ?? '').searchParams.get('token') ?? '';
  const { id } = await plinth.invitations.accept(token, { name: 'Squatter', password: squatters });
  expect((await plinth.people.find(id))?.emailVerified).toBe(false);
  await plinth.sessions.begin(id, factsOf(), 'password');
  const own = await plinth.tokens.create(id, { name: 'back door' }, email);
  await db.database.query(`insert into service_accounts (id, name, role, created_by) values ($1, $1, 'viewer', $2)`, [
    `sva_${company.number}`,
    email,
  ]);
  const robots = await plinth.tokens.create(`sva_${company.number}`, { name: 'side door' }, email);
  await db.database.query(
    `insert into totp (user_id, secret, confirmed_at, created_at) values ($1, '\\x00', now(), now())`,
    [id],
  );
  await db.database.query(`insert into backup_codes (user_id, hash) values ($1, '\\x00')`, [id]);
  await db.database.query(`insert into mail_codes (user_id, hash, expires_at) values ($1, '\\x00', now())`, [id]);
  await linkTo('github', id, `g${company.number}`);
  return { id, tokens: [own.token, robots.token] };
}

/** What is left by which somebody comes in. */
async function left(id: string) {
  const count = async (from: string) =>
    (await db.database.query<{ n: number }>(`select count(*)::integer as n from ${from} = $1`, [id])).rows[0]?.n;
  return {
    sessions: await count('auth.session where "userId"'),
    accounts: await count('auth.account where "userId"'),
    totp: await count('totp where user_id'),
    backupCodes: await count('backup_codes where user_id'),
    mailCodes: await count('mail_codes where user_id'),
    tokens: await count('tokens where user_id'),
    links: await count('identity_links where user_id'),
  };
}
const nothing = { sessions: 0, accounts: 0, totp: 0, backupCodes: 0, mailCodes: 0, tokens: 0, links: 0 };
const lives = async (tokens: readonly Secret[]) =>
  Promise.all(tokens.map(async (token) => (await company.plinth.tokens.find(token)) !== undefined));
const accepts = async (password: Secret) =>
  (await company.plinth.passwords.verify(company.email, password, '192.0.2.1')) !== undefined;
const claims = () => company.plinth.audited.filter(({ action }) => action === 'claimAccount');

async function resetByMail(password = owners) {
  const { plinth, email } = company;
  await plinth.doors.signIn.requestReset(email, factsOf());
  await plinth.delivered();
  const link = /https:\/\/\S+/.exec(plinth.mails.at(-1)?.text ?? '')?.[0] ?? '';
  await plinth.doors.signIn.reset(new Secret(new URL(link).searchParams.get('token') ?? ''), password, factsOf());
}

beforeEach(async () => {
  company.plinth.audited.length = 0;
  await db.database.query('truncate sign_in_attempts, sign_in_known');
});

describe('the owner of the mailbox', () => {
  test('by a mailed link: nothing but the new password is left', async () => {
    const { id, tokens } = await squat();
    expect(await lives(tokens)).toEqual([true, true]);
    await resetByMail();
    expect(await left(id)).toEqual({ ...nothing, accounts: 1 });
    expect(await lives(tokens)).toEqual([false, false]);
    expect([await accepts(squatters), await accepts(owners)]).toEqual([false, true]);
    expect((await company.plinth.people.find(id))?.emailVerified).toBe(true);
    expect((await company.plinth.sessions.begin(id, factsOf(), 'password')).session.secondFactor).toBe('none');
    expect(claims()).toMatchObject([
      {
        actor: { id, name: company.email, kind: 'user' },
        target: `people/${company.email}`,
        outcome: 'done',
        address: '192.0.2.7',
        detail: { by: 'mailed link', sessions: 1, tokens: 2, passwords: 1, secondFactors: 1, links: 1 },
      },
    ]);
  });

  test('by an identity provider: nothing but its link and the new session is left', async () => {
    const { id, tokens } = await squat();
    const me = await company.plinth.whoIs((await signIn()).browser);
    expect(me).toMatchObject({ id, emailVerified: true, secondFactor: 'none' });
    expect(await left(id)).toEqual({ ...nothing, sessions: 1, links: 1 });
    expect(await lives(tokens)).toEqual([false, false]);
    expect(await accepts(squatters)).toBe(false);
    expect(claims()).toMatchObject([
      {
        actor: { id, name: company.email, kind: 'user' },
        target: `people/${company.email}`,
        outcome: 'done',
        address: '127.0.0.1',
        detail: { by: 'Company', sessions: 1, tokens: 2, passwords: 1, secondFactors: 1, links: 1 },
      },
    ]);
  });

  test('by an identity provider of which the account had another link', async () => {
    const { id } = await squat();
    const { rows } = await db.database.query<{ id: string }>('select id from identity_providers');
    await linkTo(rows[0]?.id ?? '', id, `squatter ${company.number}`);
    expect((await company.plinth.whoIs((await signIn()).browser))?.id).toBe(id);
    expect((await left(id)).links).toBe(1);
  });

  test('who had proven it before keeps tokens, links and second factor', async () => {
    const { id, tokens } = await squat();
    await db.database.query(`update auth."user" set "emailVerified" = true where id = $1`, [id]);
    await resetByMail();
    await signIn();
    expect(await left(id)).toMatchObject({ accounts: 1, totp: 1, backupCodes: 1, tokens: 1, links: 2 });
    expect(await lives(tokens)).toEqual([true, true]);
    expect(claims()).toEqual([]);
  });

  test('loses no token that a robot had from somebody else of this address, long ago', async () => {
    await configure();
    const { database } = db;
    const { clock, captured } = company.plinth;
    const robot = `sva_old_${company.number}`;
    await database.query(`insert into service_accounts (id, name, role, created_by) values ($1, $1, 'viewer', '')`, [
      robot,
    ]);
    const past = createTokens({
      database,
      clock: { ...clock, now: () => new Date(Date.now() - 86_400_000) },
      log: captured.log,
    });
    const { token } = await past.create(robot, { name: 'old' }, company.email);
    await squat();
    await resetByMail();
    expect(await lives([token])).toEqual([true]);
  });
});

describe('an address from which somebody came by an identity provider', () => {
  const isKnown = async () => {
    const attempt = await company.plinth.limits.attempt('127.0.0.1', { name: company.email, exists: true });
    await attempt.withdrawn();
    return attempt.known;
  };

  test('is known as good for the account', async () => {
    expect(await isKnown()).toBe(false);
    await signIn();
    expect(await isKnown()).toBe(true);
  });

  test('is not while the second factor is due', async () => {
    const { plinth, email } = company;
    const { id } = await plinth.people.create({ email, name: 'Ada', role: 'viewer', emailVerified: true });
    await db.database.query(
      `insert into totp (user_id, secret, confirmed_at, created_at) values ($1, '\\x00', now(), now())`,
      [id],
    );
    expect((await plinth.whoIs((await signIn()).browser))?.secondFactor).toBe('due');
    expect(await isKnown()).toBe(false);
  });
});

afterAll(() => db.database.query('truncate service_accounts cascade'));
