import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { examineSettings, explainName, settings, subjectsFor } from '#base/config.ts';
import { repository } from '#scripts/check/source.ts';
import { namesIn } from './reference-names.ts';

const golden = readFileSync(join(repository, 'tests/golden/reference-names.txt'), 'utf8').trim().split('\n');
const references = ['000_ee9d74ac3e85702b.txt', '004_5f1733dea7b599e2.txt'].map((file) =>
  join(repository, '../shared/reference', file),
);

test.each(golden)('%s is recognised', (name) => {
  const { row, otherwise } = explainName(name);
  expect(row?.names.includes(name) || otherwise !== undefined).toBe(true);
});

test('the kept names are those of the two references', ({ skip }) => {
  skip(!references.every(existsSync), 'the two references are not beside this checkout');
  const texts = references.map((file) => readFileSync(file, 'utf8')).join('\n');
  expect([...namesIn(texts)].sort()).toEqual(golden);
});

const fixtures = join(repository, 'tests/fixtures/settings');

test.each(globSync('*.env', { cwd: fixtures }))(
  'the set-up %s of a reference is valid, and every name in it known',
  (file) => {
    const envFile = readFileSync(join(fixtures, file), 'utf8');
    const { faults, report } = examineSettings({ env: {}, envFile });
    expect([faults, report.unknown]).toEqual([[], []]);
    expect(report.notices.filter(({ text }) => text.includes('cannot be read'))).toEqual([]);
  },
);

test('what a flattened table glued together is no name', () => {
  const glued = 'K8S_DEVSERVER_IMAGEN/Atesslate\nDEPLOYMENT_MODEdockerkubernetes --set archestra.env.HOSTNAME="0"';
  expect([...namesIn(glued)]).toEqual(['K8S_DEVSERVER_IMAGE', 'DEPLOYMENT_MODE', 'HOSTNAME']);
});

test('what is no setting is only what no platform reads', () => {
  expect(golden.filter((name) => explainName(name).row === undefined)).toEqual([
    'ARCHESTRA_API_KEY',
    'ARCHESTRA_BASE_URL',
    'ARCHESTRA_CHAT_<PROVIDER>_API_KEY',
    'ECR_URL',
    'NODE_IP',
    'READONLY_VAULT',
    'RELEASE_NAME',
    'VAR_NAME',
  ]);
});

test('every name of the second platform is known without its prefix too, as our own', () => {
  const prefixed = golden.filter((name) => name.startsWith('ARCHESTRA_'));
  const own = prefixed
    .filter((name) => explainName(name).row !== undefined)
    .filter((name) => explainName(name.slice('ARCHESTRA_'.length)).row !== explainName(name).row)
    .filter((name) => explainName(name.slice('ARCHESTRA_'.length)).field !== explainName(name).field);
  expect(own).toEqual([]);
});

test('no name stands for two settings', () => {
  const names = Object.values(subjectsFor()).flatMap((rows) => Object.values(rows).flatMap((row) => [...row.names]));
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test('the subjects hold every setting of the table, once', () => {
  const fields = Object.values(subjectsFor()).flatMap((rows) => Object.keys(rows));
  expect(fields.filter((field) => !field.startsWith('chatApiKeys.')).sort()).toEqual(Object.keys(settings).sort());
});

test('a name that is not known is told its neighbour', () => {
  expect(explainName('FRONTEND_URLS')).toMatchObject({ row: undefined, nearest: 'FRONTEND_URL' });
  expect(explainName(' frontend_url ')).toMatchObject({ field: 'frontendUrl', subject: 'Domains and origins' });
  expect(explainName('SOMETHING')).toMatchObject({ row: undefined, nearest: undefined, otherwise: undefined });
});

test.each([
  ['K8S_STORAGE', 'K8S_STORAGE_CLASS'],
  ['SMTP_PASS', 'SMTP_PASSWORD'],
  ['GITHUB_REDIRECT_URI', 'GITHUB_OAUTH_REDIRECT_URI'],
  ['DATABASE_URL_POOLED', 'DATABASE_URL'],
  ['TESSLATE_APP_DOMIAN', 'APP_DOMAIN'],
  ['MY_OWN_THING', undefined],
])('%s of .env has the neighbour %s', (name, neighbour) => {
  const { report } = examineSettings({ env: {}, envFile: `${name}=1` });
  expect(report.unknown).toEqual([{ name, origin: '.env', nearest: neighbour }]);
});
