import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Auth } from '#auth/better-auth.ts';
import { type AdministratorOptions, ensureAdministrator, forgetGeneratedPassword } from '#auth/people/administrator.ts';
import { keepInFile } from '#auth/people/password-keeper.ts';
import { findCredential } from '#auth/store.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { createTestAuth } from '#support/people.ts';
import { createTestDatabase, type TestDatabase } from '#support/postgres.ts';

let db: TestDatabase;
let auth: Auth;
let dataDirectory: string;
let lines: string[];

beforeEach(async () => {
  db = await createTestDatabase();
  auth = await createTestAuth(db.database);
  dataDirectory = mkdtempSync(join(tmpdir(), 'plinth-admin-'));
  lines = [];
});
afterEach(async () => {
  await db.drop();
  rmSync(dataDirectory, { recursive: true });
});

const email = 'admin@localhost.ai';
const ensure = (options: Partial<AdministratorOptions> = {}) => {
  const log = createLog({ level: 'info', to: { write: (line) => lines.push(line) } });
  return ensureAdministrator({
    auth,
    database: db.database,
    log,
    email,
    keeper: keepInFile(dataDirectory),
    isTerminal: false,
    ...options,
  });
};
const opens = async (password: string, who = email) => {
  const person = await findCredential(db.database, who);
  return person?.hash != null && (await auth.verify(new Secret(password), person.hash));
};
const file = () => join(dataDirectory, 'admin-password');

test('without a terminal the password is in a file that only the owner reads, and nowhere in the log', async () => {
  writeFileSync(file(), 'left over', { mode: 0o644 });
  const { outcome, passwordPlace, password } = await ensure();
  expect([outcome, passwordPlace, password]).toEqual(['written', file(), undefined]);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  const written = readFileSync(file(), 'utf8');
  expect(written).toMatch(/^[A-Za-z0-9_-]{24}\n$/);
  expect(await opens(written.trim())).toBe(true);
  expect(lines.join()).not.toContain(written.trim());
  expect(lines.join()).toContain(file());
});

test('on a terminal it is given out once, and no file is written', async () => {
  const made = await ensure({ isTerminal: true });
  expect(made.outcome).toBe('generated');
  expect(existsSync(file())).toBe(false);
  expect(String(made.password)).toBe('[secret]');
  expect(await opens(made.password?.reveal() ?? '')).toBe(true);
  await made.handedOver();
  expect((await ensure({ isTerminal: true })).outcome).toBe('unchanged');
  expect(await opens(made.password?.reveal() ?? '')).toBe(true);
});

test('a start that dies before it was shown leaves nobody locked out', async () => {
  const lost = await ensure({ isTerminal: true });
  const shown = await ensure({ isTerminal: true });
  expect(shown.outcome).toBe('generated');
  expect(await opens(lost.password?.reveal() ?? '')).toBe(false);
  expect(await opens(shown.password?.reveal() ?? '')).toBe(true);
});

test('a start that died between the person and the password is finished by the next', async () => {
  await ensure({ isTerminal: true });
  await db.database.query('delete from auth.account');
  expect(await opens((await ensure({ isTerminal: true })).password?.reveal() ?? '')).toBe(true);
});

test('a second start changes nothing', async () => {
  await ensure();
  const before = readFileSync(file(), 'utf8');
  expect((await ensure()).outcome).toBe('unchanged');
  expect(readFileSync(file(), 'utf8')).toBe(before);
  expect(await opens(before.trim())).toBe(true);
});

test('a password from the settings is used; a changed setting is taken over, an unchanged one is not', async () => {
  const first = new Secret('first password');
  expect((await ensure({ password: first })).outcome).toBe('created');
  expect([await opens('first password'), existsSync(file())]).toEqual([true, false]);

  const { id } = (await findCredential(db.database, email))!;
  await auth.setPassword(id, new Secret('chosen by the person'));
  expect((await ensure({ password: first })).outcome).toBe('unchanged');
  expect(await opens('chosen by the person')).toBe(true);

  expect((await ensure({ password: new Secret('second password') })).outcome).toBe('changed');
  expect(await opens('second password')).toBe(true);
  expect((await ensure()).outcome).toBe('unchanged');
});

test('a setting after a generated password replaces it, and the file goes', async () => {
  await ensure();
  expect((await ensure({ password: new Secret('from the settings') })).outcome).toBe('changed');
  expect([existsSync(file()), await opens('from the settings')]).toEqual([false, true]);
});

test('another e-mail in the settings makes no second administrator, and says so', async () => {
  await ensure();
  expect(await ensure({ email: 'other@example.com' })).toMatchObject({ email, outcome: 'unchanged' });
  expect(await findCredential(db.database, 'other@example.com')).toBeUndefined();
  expect(lines.join()).toContain('AUTH_ADMIN_EMAIL names someone else');
});

test('the file goes when the administrator changes the password, and only then', async () => {
  await ensure();
  const { id } = (await findCredential(db.database, email))!;
  await forgetGeneratedPassword({ database: db.database, keeper: keepInFile(dataDirectory) }, 'usr_someone_else');
  expect(existsSync(file())).toBe(true);
  await forgetGeneratedPassword({ database: db.database, keeper: keepInFile(dataDirectory) }, id);
  expect(existsSync(file())).toBe(false);
});

test('two starts at once make one administrator', async () => {
  const both = await Promise.all([ensure(), ensure()]);
  expect(both.map(({ outcome }) => outcome).sort()).toEqual(['unchanged', 'written']);
  expect(await opens(readFileSync(file(), 'utf8').trim())).toBe(true);
});

test('two processes at once make the tables once', async () => {
  const fresh = await createTestDatabase();
  try {
    await Promise.all([createTestAuth(fresh.database), createTestAuth(fresh.database), createTestAuth(fresh.database)]);
    const { rows } = await fresh.database.query<{ table_name: string }>(
      "select table_name from information_schema.tables where table_schema = 'auth' order by 1",
    );
    expect(rows.map(({ table_name }) => table_name)).toEqual(['account', 'session', 'user', 'verification']);
  } finally {
    await fresh.drop();
  }
});
