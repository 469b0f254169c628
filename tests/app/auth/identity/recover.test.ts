import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { recoverAdministrator, tellPasswordGate } from '#auth/identity-providers.ts';
import { Secret } from '#base/secret.ts';
import { captureLog } from '#support/captured-log.ts';
import { openIdentity, type TestIdentity, WanderingBrowser } from '#support/identity.ts';
import { startPlayedGithub } from '#support/played-providers.ts';
import { useDatabase } from '#support/postgres.ts';
import { factsOf } from '#support/sign-in.ts';

const db = useDatabase();
let plinth: TestIdentity;
let github: Awaited<ReturnType<typeof startPlayedGithub>>;

beforeAll(async () => {
  plinth = await openIdentity(db.database);
  github = await startPlayedGithub();
  const body = {
    kind: 'github',
    label: 'GitHub',
    server: github.url,
    clientId: 'plinth',
    clientSecret: 'client secret',
  };
  expect((await plinth.api('POST', '', { ...body, name: 'GitHub' })).status).toBe(201);
});
afterAll(async () => {
  await github?.close();
  await plinth?.close();
});
let email: string;
let number = 0;
beforeEach(async () => {
  number += 1;
  email = `admin${number}@example.com`;
  await db.database.query('delete from identity_links');
  github.state.user = { id: number, login: 'ada', name: 'Ada' };
  github.state.emails = [{ email, primary: true, verified: true }];
  plinth.open({ passwordsDisabled: true });
});

const signIn = async () => {
  const isOurs = (url: string) => url.startsWith(plinth.url) && !url.includes('/api/auth/');
  const browser = new WanderingBrowser();
  const seen = await browser.follow(`${plinth.url}/api/auth/sign-in/GitHub`, isOurs);
  expect(seen.location).toBe(`${plinth.url}/account`);
  return browser;
};
const gate = () => plinth.identity().passwordSignIn();
const recover = (more: Partial<Parameters<typeof recoverAdministrator>[0]> = {}) =>
  recoverAdministrator({
    database: db.database,
    auth: plinth.auth,
    people: plinth.people,
    audit: { record: async (entry) => void plinth.audited.push(entry) },
    email,
    create: false,
    dropSecondFactor: false,
    by: 'root',
    ...more,
  });

describe('passwords that are turned off', () => {
  test('stay on for everybody while the setting is off', async () => {
    plinth.open({ passwordsDisabled: false });
    await plinth.person(email, 'seven silent owls', 'admin');
    await signIn();
    expect(await gate()).toBe('everyone');
  });

  test('stay for administrators until one of them has come in by a provider, and the start says so', async () => {
    const told = captureLog();
    await tellPasswordGate(gate, told.log);
    expect(told.lines()[0]).toMatchObject({ level: 'warn', setting: 'AUTH_DISABLE_BASIC_AUTH' });
    await plinth.person(email, 'seven silent owls', 'editor');
    await signIn();
    expect(await gate()).toBe('administrators');
    await db.database.query(`update auth."user" set role = 'admin' where email = $1`, [email]);
    expect(await gate()).toBe('administrators');
    await signIn();
    expect(await gate()).toBe('nobody');
  });

  test('come back for administrators when the way in is gone', async () => {
    const id = await plinth.person(email, 'seven silent owls', 'admin');
    await signIn();
    expect(await gate()).toBe('nobody');
    const { json } = await plinth.api('GET', '/GitHub');
    const wish = { kind: 'github', label: 'GitHub', server: json.server, clientId: json.clientId };
    await plinth.api('PUT', '/GitHub', { ...wish, enabled: false });
    expect(await gate()).toBe('administrators');
    await plinth.api('PUT', '/GitHub', wish);
    expect(await gate()).toBe('nobody');
    await db.database.query('insert into people_state (user_id, disabled) values ($1, true)', [id]);
    expect(await gate()).toBe('administrators');
  });
});

describe('the recovery command', () => {
  test('brings a disabled, forgotten administrator back, and passwords with them', async () => {
    const id = await plinth.person(email, 'seven silent owls', 'admin');
    await signIn();
    expect(await gate()).toBe('nobody');
    await plinth.sessions.begin(id, factsOf(), 'password');
    await db.database.query('insert into people_state (user_id, disabled) values ($1, true)', [id]);
    await db.database.query(`update auth."user" set role = 'viewer' where id = $1`, [id]);
    const password = await recover({ email: email.toUpperCase() });
    expect(await plinth.people.find(id)).toMatchObject({ role: 'admin', disabled: false });
    expect((await plinth.passwords.verify(email, password, '192.0.2.1'))?.id).toBe(id);
    expect(await plinth.passwords.verify(email, new Secret('seven silent owls'), '192.0.2.1')).toBeUndefined();
    expect(await plinth.sessions.list(id)).toEqual([]);
    expect(await gate()).toBe('administrators');
    expect(plinth.audited.at(-1)).toMatchObject({
      actor: { id: 'recover', name: 'root', kind: 'system' },
      action: 'recover',
      target: `people/${id}`,
      outcome: 'done',
      detail: { email, made: false, secondFactorDropped: false },
    });
    expect(JSON.stringify(plinth.audited)).not.toContain(password.reveal());
  });

  test('the second factor stays unless it is to be dropped', async () => {
    const id = await plinth.person(email, 'seven silent owls', 'admin');
    await plinth.secondFactor.beginTotp(id);
    await db.database.query('update totp set confirmed_at = now() where user_id = $1', [id]);
    await recover();
    expect(await plinth.secondFactor.isDue(id)).toBe(true);
    await recover({ dropSecondFactor: true });
    expect(await plinth.secondFactor.isDue(id)).toBe(false);
  });

  test('who is not there is made only when asked for', async () => {
    await expect(recover()).rejects.toMatchObject({ code: 'PERSON_NOT_FOUND' });
    const password = await recover({ create: true });
    expect(await plinth.people.findByEmail(email)).toMatchObject({ role: 'admin', emailVerified: true });
    expect(await plinth.passwords.verify(email, password, '192.0.2.1')).toBeDefined();
  });
});
