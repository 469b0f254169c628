import { expect, test } from 'vitest';
import { authorise } from '#auth/authorise.ts';
import { principalOf } from '#auth/principal.ts';
import { builtInRoles, mayOf, missingFor } from '#auth/roles.ts';
import { type Caller, type Permission, permissions, type Scope } from '#contract/caller.ts';
import { administrator, editorOf } from '#support/http.ts';

const place = { reach: 'team', environment: 'local', team: 'shop', project: 'web' } as const;

test('the administrator may everything that is listed', () => {
  for (const permission of permissions) expect(authorise(administrator, permission, place), permission).toBe(true);
});

test('what is not listed is denied', () => {
  expect(authorise(administrator, 'everything' as Permission, place)).toBe(false);
  expect(authorise({ ...administrator, may: new Map() }, 'project:read', place)).toBe(false);
});

test('teams bound what is seen, and the whole state repository needs all of them', () => {
  const caller = editorOf('shop');
  expect(authorise(caller, 'project:write', place)).toBe(true);
  expect(authorise(caller, 'project:write', { ...place, team: 'blog' })).toBe(false);
  expect(authorise(caller, 'project:read', { reach: 'teams' })).toBe(true);
  expect(authorise(caller, 'project:read', { reach: 'organization' })).toBe(false);
  expect(authorise(caller, 'state:read', { reach: 'organization' })).toBe(false);
  expect(authorise(caller, 'state:write', { reach: 'teams' })).toBe(true);
});

test('who belongs to no team may do in no team what the role names for teams', () => {
  expect(authorise(editorOf(), 'project:write', place)).toBe(false);
  expect(authorise(editorOf(), 'self:read', { reach: 'personal' })).toBe(true);
});

test('a role of a membership counts in that team alone, in place of the other one', () => {
  const may = mayOf(builtInRoles.viewer, [
    { team: 'shop', grants: builtInRoles.editor },
    { team: 'blog', grants: null },
  ]);
  expect(may.get('project:write')).toEqual(['shop']);
  expect(may.get('project:read')).toEqual(['shop', 'blog']);
  expect(mayOf(builtInRoles.viewer, [{ team: 'shop', grants: builtInRoles.admin }]).get('audit:read')).toEqual([
    'shop',
  ]);
});

test('a caller bound to an environment stays there', () => {
  const bound: Caller = { ...administrator, environments: ['dev'] };
  expect(authorise(bound, 'project:write', place)).toBe(false);
  expect(authorise(bound, 'project:write', { ...place, environment: 'dev' })).toBe(true);
});

test('a role that is no more grants nothing: in the organization nobody, in a team nothing there', () => {
  const row = { id: 'usr_1', name: 'ada', role: 'editor', grants: null, disabled: false };
  const member = { team: 'shop', role: 'gone', source: 'manual', grants: null };
  expect(principalOf({ ...row, role: 'gone', memberships: [] })).toBeUndefined();
  expect(principalOf({ ...row, memberships: [member] })?.may.get('project:write')).toEqual([]);
  expect(principalOf({ ...row, memberships: [{ ...member, role: null }] })?.may.get('project:write')).toEqual(['shop']);
  for (const role of ['__proto__', 'constructor', 'toString'])
    expect(principalOf({ ...row, role, memberships: [] }), role).toBeUndefined();
});

test('who is bound to environments sees nothing that stands above them, and no list that cannot be cut to them', () => {
  const bound: Caller = { ...administrator, environments: ['dev'] };
  const asked = (permission: Permission, scope: Scope) => authorise(bound, permission, scope);
  expect(asked('project:read', { reach: 'teams' })).toBe(true);
  expect(asked('self:read', { reach: 'personal' })).toBe(true);
  expect(asked('user:read', { reach: 'teams' })).toBe(false);
  expect(asked('service-account:write', { reach: 'teams' })).toBe(false);
  expect(asked('secret:write', { reach: 'team', team: 'shop' })).toBe(false);
  expect(asked('state:read', { reach: 'organization' })).toBe(false);
  expect(asked('secret:write', { reach: 'organization', environment: 'dev' })).toBe(true);
});

test('a team route without a team is nobody’s', () => {
  expect(authorise(administrator, 'project:read', { reach: 'team' })).toBe(false);
});

test('what is missing is named, in the order of the table', () => {
  const caller = editorOf('shop');
  expect(missingFor(caller, builtInRoles.editor, ['shop'])).toEqual([]);
  expect(missingFor(caller, builtInRoles.viewer, ['shop', 'blog'])).toEqual([
    'project:read',
    'log:read',
    'user:read',
    'team:read',
  ]);
  expect(missingFor(caller, { 'audit:read': 'personal', 'project:read': 'team' }, ['shop'])).toEqual(['audit:read']);
  expect(missingFor(caller, { 'project:read': 'team' }, 'all')).toEqual(['project:read']);
  expect(missingFor(administrator, builtInRoles.admin, 'all')).toEqual([]);
});

test('orders for a whole environment are the administrator’s; who may give them in a team gives them there alone', () => {
  const whole = { reach: 'organization', environment: 'local' } as const;
  expect(authorise(administrator, 'environment:write', whole)).toBe(true);
  expect(authorise(editorOf('shop'), 'environment:write', place)).toBe(false);
  const leader: Caller = { ...administrator, may: new Map([['environment:write', ['shop']]]) };
  expect(authorise(leader, 'environment:write', place)).toBe(true);
  expect(authorise(leader, 'environment:write', { ...place, team: 'blog' })).toBe(false);
  expect(authorise(leader, 'environment:write', whole)).toBe(false);
  const bound: Caller = { ...administrator, environments: ['dev'] };
  expect(authorise(bound, 'environment:write', whole)).toBe(false);
});
