import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { examineSettings, sentencesOf, subjectsFor } from '#base/config.ts';

const rows = Object.values(subjectsFor()).flatMap((each) => Object.values(each));
const secretNames = rows.filter(({ secret }) => secret).flatMap(({ names }) => [...names]);
const shapes: readonly ((canary: string) => string)[] = [
  (canary) => canary,
  (canary) => `postgresql://ada:${canary}@db.example.com/app`,
  (canary) => `postgresql://ada:1/${canary}@db/app`,
  (canary) => `sk_live_${canary}`,
  (canary) => `whsec_${canary}`,
  (canary) => `${canary}\n`,
  (canary) => canary.slice(0, 12),
  (canary) => `"${canary}`,
];

test('there are secrets to hide', () => {
  expect(secretNames.length).toBeGreaterThan(30);
});

test('no value of a secret setting is in the report, the notices, the faults or the printed config', () => {
  const canary = fc.stringMatching(/^[A-Za-z0-9]{12,48}$/).map((text) => `Zq${text}`);
  const given = fc.record({
    name: fc.constantFrom(...secretNames),
    canary,
    shape: fc.constantFrom(...shapes),
    inFile: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(given, { minLength: 1, maxLength: 12 }), fc.boolean(), (secrets, production) => {
      const env: Record<string, string> = { NODE_ENV: production ? 'production' : 'test', SECRETS_MANAGER: 'Vault' };
      const lines: string[] = [];
      for (const { name, canary: text, shape, inFile } of secrets) {
        if (inFile) lines.push(`${name}=${shape(text)}`);
        else env[name] = shape(text);
      }
      const { config, report, faults } = examineSettings({ env, envFile: lines.join('\n') });
      const printed = [
        JSON.stringify(report),
        JSON.stringify(sentencesOf(report)),
        faults.join('\n'),
        JSON.stringify(config ?? {}),
        inspect(config, { depth: 9, showHidden: true }),
      ].join('\n');
      for (const { canary: text, shape } of secrets) {
        expect(printed).not.toContain(shape(text).trim());
        expect(printed).not.toContain(text.slice(0, 12));
      }
    }),
    { numRuns: 400 },
  );
});

test('whatever the texts are, reading them ends in a config or in faults', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(
      'true',
      '0',
      'Vault',
      'READONLY_VAULT',
      'outlook',
      'localhost',
      '127.0.0.1',
      '10.0.0.0/8',
      '5m',
      ',',
    ),
    fc.constantFrom('http://a:b@c', 'https://x.example.com/v1', 'postgresql://u:p@h/d', 'a/b:c', '-', '\n', '[', '::1'),
  );
  const names = rows.flatMap((row) => [...row.names]);
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names, 'NODE_ENV'), text), fc.string(), (env, envFile) => {
      const { config, faults } = examineSettings({ env, envFile });
      expect(config === undefined).toBe(faults.length > 0);
    }),
    { numRuns: 1000 },
  );
});

test.each(['SECRET_KEY', 'DATABASE_URL', 'LITELLM_MASTER_KEY', 'CHAT_OPENAI_API_KEY'])(
  'a secret under a name with a slip of %s is not shown either',
  (name) => {
    const { report, faults } = examineSettings({
      env: {},
      envFile: `X${name}=hunter22hunter22\n${name}: hunter22hunter22`,
    });
    expect(JSON.stringify([report, faults])).not.toContain('hunter22');
    expect(report.unknown).toMatchObject([{ name: `X${name}`, nearest: name }]);
  },
);
