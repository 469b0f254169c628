import { expect, test } from 'vitest';
import { createGate } from '#auth/gate.ts';
import { authorise } from '#auth/roles.ts';
import { type Caller, type Permission, permissions } from '#contract/caller.ts';

const admin: Caller = { id: 'usr_1', name: 'ada', kind: 'user', role: 'admin', teams: 'all' };
const everywhere = { environment: 'local', team: 'shop', project: 'web' };

test('the administrator may everything that is listed', () => {
  for (const permission of permissions) expect(authorise(admin, permission, everywhere), permission).toBe(true);
});

test('what is not listed is denied, to a role or of a role', () => {
  expect(authorise(admin, 'everything' as Permission, {})).toBe(false);
  for (const role of ['guest', 'constructor', '__proto__'] as unknown as Caller['role'][])
    expect(authorise({ ...admin, role }, 'project:read', {})).toBe(false);
});

test('teams bound what is seen, and the whole state repository needs all of them', () => {
  const caller: Caller = { ...admin, teams: ['shop'] };
  expect(authorise(caller, 'project:write', everywhere)).toBe(true);
  expect(authorise(caller, 'project:write', { ...everywhere, team: 'blog' })).toBe(false);
  expect(authorise(caller, 'project:read', { environment: 'local' })).toBe(true);
  expect(authorise(caller, 'state:read', {})).toBe(false);
  expect(authorise(caller, 'state:write', {})).toBe(true);
});

test('a token makes no tokens', () => {
  const token: Caller = { ...admin, kind: 'token' };
  expect(permissions.filter((permission) => !authorise(token, permission, everywhere))).toEqual([
    'password:write',
    'token:write',
  ]);
});

test('the gate lets so many work, so many wait, and turns the others away', async () => {
  const gate = createGate({ most: 2, mostWaiting: 1 });
  const ends: (() => void)[] = [];
  let running = 0;
  const work = () =>
    gate(async () => {
      running += 1;
      await new Promise<void>((resolve) => ends.push(resolve));
      running -= 1;
    });
  const begun = [work(), work(), work()];
  await expect(work()).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  expect([running, ends.length]).toEqual([2, 2]);
  ends[0]?.();
  await begun[0];
  await expect.poll(() => ends.length, { interval: 1 }).toBe(3);
  expect(running).toBe(2);
  for (const end of ends) end();
  await Promise.all(begun);
  expect(running).toBe(0);
  await gate(async () => {});
});
