import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { foldText } from '#auth/identity/fold.ts';
import { beginMapping, decideRole, groupsOf } from '#auth/identity/mapping.ts';
import { compileTemplate } from '#auth/identity/template.ts';
import { mostSteps, Work } from '#auth/identity/work.ts';
import { mostClaimBytes, mostClaimValues } from '#contract/identity.ts';
import { administrator } from '#support/http.ts';
import { openIdentity, type TestIdentity } from '#support/identity.ts';
import { useDatabase } from '#support/postgres.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const names = (count: number) => numbers(count).map((index) => `Group number ${index}`);
const tooCostly = expect.objectContaining({ code: 'IDENTITY_MAPPING_TOO_COSTLY' });
const tooLarge = expect.objectContaining({ code: 'IDENTITY_CLAIMS_TOO_LARGE' });
const spent = (text: string, claims: unknown) => {
  const work = new Work();
  compileTemplate(text)(claims, work);
  return work.spent;
};

describe('a step is an element or a few characters of the claims, not a node of the template', () => {
  test.each([
    ['includes, once', '{{includes groups "zzz"}}', 1000],
    ['contains', '{{contains groups "zzz"}}', 1000],
    ['contains in one long text', '{{contains long "zzz"}}', 1000],
    ['equals of long texts', '{{equals long "zzz"}}', 1000],
    ['pluck', '{{#if (pluck rows "name")}}{{/if}}', 1000],
    ['json of a list', '{{#if (json groups)}}{{/if}}', 1000],
    ['json of a text', '{{#if (json text)}}{{/if}}', 900],
    ['a printed list', '{{groups}}', 1000],
    ['a printed text', '{{long}}', 1000],
    ['each over an object', '{{#each keyed}}{{/each}}', 1000],
  ])('%s', (_, text, least) => {
    const groups = names(1000);
    const claims = {
      groups,
      long: 'y'.repeat(16_000),
      rows: groups.map((name) => ({ name })),
      text: JSON.stringify(numbers(1000)),
      keyed: Object.fromEntries(groups.map((name) => [name, 1])),
    };
    const cost = spent(text, claims);
    expect(cost).toBeGreaterThan(least);
    // In proportion, so that what is usual stays far from the end.
    expect(cost).toBeLessThan(least * 8);
  });

  test('a list is folded once, however often it is asked', () => {
    const claims = { a: numbers(1000), groups: names(10_000) };
    const once = spent('{{includes groups "zzz"}}', claims);
    const often = spent('{{#each a}}{{includes @root.groups "zzz"}}{{/each}}', claims);
    expect(once).toBeGreaterThan(10_000);
    expect(often).toBeLessThan(once + 10_000);
  });

  test.each([
    ['contains', '{{#each a}}{{contains @root.groups "zzz"}}{{/each}}'],
    ['contains of a long part', '{{contains long part}}'],
    ['pluck', '{{#each a}}{{#if (pluck @root.groups "x")}}{{/if}}{{/each}}'],
    ['json', '{{#each a}}{{#if (json @root.groups)}}{{/if}}{{/each}}'],
    ['includes of what json makes anew', '{{#each a}}{{includes (json @root.text) "zzz"}}{{/each}}'],
    ['each', '{{#each a}}{{#each @root.groups}}{{/each}}{{/each}}'],
    ['printing', '{{#each a}}{{@root.groups}}{{/each}}'],
  ])('%s over and over ends', (_, text) => {
    const groups = names(10_000);
    const long = 'a'.repeat(200_000);
    const claims = { a: numbers(1000), groups, text: JSON.stringify(groups), long, part: `${long}b` };
    const work = new Work();
    expect(() => compileTemplate(text)(claims, work)).toThrow(tooCostly);
    // Charged, and so ended, before it is done.
    expect(work.spent).toBeLessThanOrEqual(mostSteps);
  });

  test('letters with endless accents are compared as they are: putting these in order takes their square', () => {
    const wild = `E${'\u0301\u0323'.repeat(50)}`;
    expect(foldText(wild)).toBe(wild.toLowerCase());
    expect(foldText('E\u0301')).toBe('é');
  });
});

describe('one budget', () => {
  const rule = '{{#each a}}{{#each @root.a}}{{/each}}{{/each}}';
  const claims = { a: numbers(300) };

  test('for all rules of a mapping', () => {
    const one = spent(rule, claims);
    const fitting = Math.floor(mostSteps / one);
    const decide = (count: number) => {
      const rules = numbers(count).map(() => ({ expression: rule, role: 'admin' }));
      return decideRole({ rules, strict: true, skipSync: false }, beginMapping(claims));
    };
    expect(fitting).toBeGreaterThan(1);
    expect(fitting).toBeLessThan(100);
    expect(decide(fitting)).toEqual({ allowed: false });
    expect(() => decide(fitting + 1)).toThrow(tooCostly);
  });

  test('for its groups too', () => {
    const mapping = beginMapping(claims);
    const sync = { groupsExpression: rule, teams: [] };
    mapping.work.spend(mostSteps - 1000);
    expect(() => groupsOf(sync, mapping)).toThrow(tooCostly);
  });

  test('is enough for a hundred rules over two thousand groups', () => {
    const rules = numbers(100).map((index) => ({ expression: `{{includes groups "admins ${index}"}}`, role: 'admin' }));
    const mapping = beginMapping({ groups: names(2000) });
    expect(decideRole({ rules, strict: true, skipSync: false }, mapping)).toEqual({ allowed: false });
    expect(mapping.work.spent).toBeLessThan(mostSteps / 10);
  });
});

describe('claims', () => {
  const deep = (levels: number) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as unknown;
  test.each([
    ['many values', { groups: numbers(mostClaimValues) }],
    ['long values', { text: 'x'.repeat(mostClaimBytes) }],
    ['values that are long in UTF-8', { text: '語'.repeat(mostClaimBytes / 3 + 1) }],
    ['long names', { ['x'.repeat(mostClaimBytes + 1)]: 1 }],
    ['values within values', { deep: deep(40) }],
    ['values within values without end', { deep: deep(100_000) }],
  ])('%s are refused', (_, claims) => {
    expect(() => beginMapping(claims)).toThrow(tooLarge);
  });

  test('of a usual size are not', () => {
    beginMapping({ groups: names(10_000), text: 'x'.repeat(200_000), deep: deep(20) });
  });

  test('that come as JSON within a text go no deeper', () => {
    const text = `${'['.repeat(5000)}${']'.repeat(5000)}`;
    const mapping = beginMapping({ text });
    expect(() => compileTemplate('{{json (json text)}}')(mapping.claims, mapping.work)).toThrow(tooLarge);
  });
});

describe('a dry run with hostile claims', () => {
  const db = useDatabase();
  let plinth: TestIdentity;
  beforeAll(async () => {
    plinth = await openIdentity(db.database);
    const okta = { kind: 'oidc', label: 'Okta', issuer: 'https://acme.okta.com', clientId: 'c', clientSecret: 's' };
    expect((await plinth.api('POST', '', { ...okta, name: 'Okta' })).status).toBe(201);
  });
  afterAll(() => plinth?.close());
  const attempt = async (expression: string, claims: unknown) => {
    const rules = numbers(100).map(() => ({ expression, role: 'viewer' }));
    return plinth.api('POST', '/Okta/mapping', { claims, roleMapping: { rules } });
  };

  test('is refused in clear words', async () => {
    const asked = '{{#each a}}{{includes @root.groups "zzz"}}{{/each}}';
    const large = await attempt(asked, { a: numbers(1000), groups: names(30_000) });
    expect([large.status, large.code]).toEqual([422, 'IDENTITY_CLAIMS_TOO_LARGE']);
    expect(large.text).toContain('The claims hold more than 20000 values');
    const costly = await attempt(asked.replace('includes', 'contains'), { a: numbers(1000), groups: names(15_000) });
    expect([costly.status, costly.code]).toEqual([422, 'IDENTITY_MAPPING_TOO_COSTLY']);
    expect(costly.text).toContain('takes more than 1000000 steps');
  });

  test('is for somebody who is signed in', async () => {
    plinth.state.caller = { ...administrator, credential: { kind: 'token', id: 'tok_1' } };
    try {
      expect((await attempt('true', {})).code).toBe('FORBIDDEN');
    } finally {
      plinth.state.caller = administrator;
    }
  });
});
