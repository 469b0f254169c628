import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileTemplate } from '#auth/identity/template.ts';
import { TemplateError } from '#auth/identity/template-parse.ts';

const claims = {
  groups: ['Admins', 'users'],
  role: 'Administrator',
  department: 'IT',
  title: 'Lead',
  empty: '',
  none: null,
  roles: [{ name: 'platform-admin', level: 3 }, { name: 'n8n_access' }],
  text: '[{"name":"app"},{"name":"platform-admin"}]',
  user: { memberships: { groups: ['a', 'b'] } },
  'https://example.com/groups': ['ops'],
  count: 0,
};
const run = (text: string, value: unknown = claims) => compileTemplate(text)(value);

describe('what the second platform documents', () => {
  test.each([
    ['{{#includes groups "admins"}}true{{/includes}}', 'true'],
    ['{{#includes groups "nobody"}}true{{/includes}}', ''],
    ['{{#includes missing "admins"}}true{{/includes}}', ''],
    ['{{#equals role "administrator"}}true{{/equals}}', 'true'],
    ['{{#notEquals role "administrator"}}true{{/notEquals}}', ''],
    ['{{#contains role "ADMIN"}}true{{/contains}}', 'true'],
    ['{{#exists none}}true{{/exists}}', ''],
    ['{{#exists empty}}true{{/exists}}', 'true'],
    ['{{#each roles}}{{#equals this "platform-admin"}}true{{/equals}}{{/each}}', ''],
    ['{{#each groups}}{{#equals this "admins"}}true{{/equals}}{{/each}}', 'true'],
    ['{{#and department title}}{{#equals department "IT"}}true{{/equals}}{{/and}}', 'true'],
    ['{{#and department empty}}true{{/and}}', ''],
    ['{{#or empty title}}true{{/or}}', 'true'],
    [
      '{{#with (json text)}}{{#each this}}{{#equals this.name "platform-admin"}}true{{/equals}}{{/each}}{{/with}}',
      'true',
    ],
    [
      '{{#with (json text)}}{{#each this}}{{#equals\n      this.name "app"\n    }}true{{/equals}}{{/each}}{{/with}}',
      'true',
    ],
    ['{{#each groups}}{{this}},{{/each}}', 'Admins,users,'],
    ['{{#each roles}}{{this.name}},{{/each}}', 'platform-admin,n8n_access,'],
    ['{{{json (pluck roles "name")}}}', '["platform-admin","n8n_access"]'],
    ['{{{json (pluck (json text) "name")}}}', '["app","platform-admin"]'],
    ['{{#each user.memberships.groups}}{{this}},{{/each}}', 'a,b,'],
    ['{{#if (includes groups "admins")}}true{{/if}}', 'true'],
    ['{{#if (and (equals department "it") (exists title))}}yes{{else}}no{{/if}}', 'yes'],
    ['{{includes groups "admins"}}', 'true'],
    ['{{includes groups "nobody"}}', ''],
    ['{{role}}', 'Administrator'],
  ])('%s → %s', (text, output) => {
    expect(run(text)).toBe(output);
  });
});

describe('the rest of the language', () => {
  test.each([
    ['{{#if empty}}a{{else if none}}b{{else if title}}c{{else}}d{{/if}}', 'c'],
    ['{{#if empty}}a{{else if none}}b{{else}}d{{/if}}', 'd'],
    ['{{#unless empty}}a{{/unless}}', 'a'],
    ['{{#each roles}}{{@index}}{{name}}{{#unless @last}};{{/unless}}{{/each}}', '0platform-admin;1n8n_access'],
    ['{{#each user.memberships}}{{@key}}={{#each this}}{{this}}{{/each}}{{/each}}', 'groups=ab'],
    ['{{#each groups}}{{../role}}{{@root.title}} {{/each}}', 'AdministratorLead AdministratorLead'],
    ['{{#includes [https://example.com/groups] "ops"}}true{{/includes}}', 'true'],
    ['{{! a note }}{{title~}}   {{~department}}', 'LeadIT'],
    [
      "{{#equals roles.0.level 3}}three{{/equals}}{{#equals count 0}}{{#if (or count true)}}'}}'{{/if}}{{/equals}}",
      "three'}}'",
    ],
    ['{{#includes groups "}}"}}x{{/includes}}y', 'y'],
    ['{{#if groups.length}}{{groups.length}}{{/if}}', '2'],
    ['plain', 'plain'],
    ['', ''],
  ])('%s → %s', (text, output) => {
    expect(run(text)).toBe(output);
  });
});

describe('is refused with the reason', () => {
  test.each([
    ['{{#includes groups "a"}}true', 'is not closed by {{/includes}}'],
    ['{{#if a}}{{/unless}}', 'is not closed by {{/if}}'],
    ['{{/if}}', 'closes nothing'],
    ['{{else}}', 'closes nothing'],
    ['{{#lookup a b}}x{{/lookup}}', 'not known; there are if, unless, each, with, includes'],
    ['{{shout groups}}', 'shout is no function; there are includes'],
    ['{{> partial}}', 'not part of the language'],
    ['{{* decorator}}', 'not part of the language'],
    ['{{includes groups name="x"}}', 'cannot be read'],
    ['{{#if a b}}x{{/if}}', 'takes one value, not 2'],
    ['{{', 'not closed by }}'],
    ['{{ }}', 'is empty'],
    ['{{#if (and a}}x{{/if}}', 'is not closed'],
    ['{{#if a)}}x{{/if}}', 'has no ('],
    ['{{#if ()}}x{{/if}}', '() is empty'],
    ['{{a..b}}', 'is no path'],
    ['{{#each a as |b|}}{{/each}}', 'cannot be read'],
    [`${'{{#if a}}'.repeat(17)}${'{{/if}}'.repeat(17)}`, 'nested deeper than 16'],
    [`{{#if ${'(and '.repeat(20)}a${')'.repeat(20)}}}x{{/if}}`, 'nested deeper than 16'],
    ['x'.repeat(2001), 'longer than 2000'],
  ])('%s', (text, why) => {
    expect(() => compileTemplate(text)).toThrow(why);
  });
});

describe('claims cannot do anything', () => {
  test.each(['constructor', '__proto__', 'toString', 'groups.constructor.name', 'role.length', '@root.__proto__.x'])(
    '{{%s}} prints nothing',
    (path) => {
      expect(run(`{{${path}}}`)).toBe('');
    },
  );

  test('a claim that looks like a template is text', () => {
    expect(run('{{role}}', { role: '{{#if true}}x{{/if}}' })).toBe('{{#if true}}x{{/if}}');
  });

  test('a template that would run or print long is ended, and nothing is concluded from it', () => {
    const list = Array.from({ length: 1000 }, () => 'x');
    const text = '{{#each a}}{{#each ../a}}{{#each ../../a}}x{{/each}}{{/each}}{{/each}}';
    const ended = expect.objectContaining({ code: 'IDENTITY_MAPPING_TOO_COSTLY' });
    expect(() => run(text, { a: list })).toThrow(ended);
    expect(() => run('{{#each a}}{{../long}}{{/each}}', { a: list, long: 'y'.repeat(1000) })).toThrow(ended);
  });
});

describe('whatever is written', () => {
  const pieces = fc.constantFrom(
    ...[
      '{{',
      '}}',
      '{{{',
      '}}}',
      '#if ',
      '/if',
      '#each ',
      '/each',
      'else',
      'else if ',
      'groups',
      'this',
      '../',
      '@root',
      '[a b]',
    ],
    ...[
      '(',
      ')',
      '"x"',
      "'y'",
      ' ',
      '.',
      'includes ',
      'json ',
      '~',
      '!',
      '>',
      '1',
      'null',
      '\n',
      '{{#if a}}',
      '{{/if}}',
      '{{else}}',
    ],
  );

  test('is read or refused with a reason, and what was read ends', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), fc.jsonValue(), (text, value) => {
        let template: ReturnType<typeof compileTemplate>;
        try {
          template = compileTemplate(text.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError);
          return;
        }
        expect(typeof template(value)).toBe('string');
      }),
      { numRuns: 3000 },
    );
  });
});
