import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { unknownSentence } from '#base/config/report.ts';
import { type Examined, examineSettings, explainName, readEnvFile, type SettingReport } from '#base/config.ts';

const usage = `usage: npm run config -- check [--file <path>]
       npm run config -- explain <NAME> [--file <path>]

check prints every setting, its value or default and where that came from; secrets are masked. Exit 1: a fault.
explain tells what one setting means, by any of its names. Exit 1: there is none of that name.
The file is .env in the working directory, unless another one is named.`;

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { file: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  const [verb, name, ...rest] = positionals;
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const isRight =
    rest.length === 0 && (verb === 'check' ? name === undefined : verb === 'explain' && name !== undefined);
  if (!isRight) {
    console.error(usage);
    return 1;
  }
  const file = values.file;
  const envFile = file === undefined ? readEnvFile(process.cwd()) : readFileSync(file, 'utf8');
  const examined = examineSettings({ env: process.env, envFile });
  return name === undefined ? check(examined) : explain(name, examined);
}

function check({ report, faults }: Examined): number {
  const lines: string[] = [];
  const width = Math.max(...report.settings.map(({ name }) => name.length));
  for (const [subject, settings] of Map.groupBy(report.settings, (setting) => setting.subject)) {
    lines.push(subject);
    for (const setting of settings) lines.push(`  ${setting.name.padEnd(width)}  ${lineOf(setting)}`);
    lines.push('');
  }
  const sentences = [
    ...report.notices.map(({ level, text }) => `${level === 'warning' ? 'warning: ' : ''}${text}`),
    ...report.unknown.map((each) => `warning: ${unknownSentence(each)}`),
  ];
  if (sentences.length > 0) lines.push('To know', ...sentences.map((text) => `  - ${text}`), '');
  lines.push(
    faults.length === 0
      ? 'These settings are valid.'
      : `These settings are not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
  );
  console.log(lines.join('\n'));
  return faults.length === 0 ? 0 : 1;
}

/** `9100  (.env, as BACKEND_PORT)`, `not set: no mail is sent` */
function lineOf({ name, valueText, hasValue, origin, givenAs, waitsFor }: SettingReport): string {
  if (!hasValue) return `not set: ${valueText}`;
  const alias = givenAs === undefined || givenAs === name ? '' : `, as ${givenAs}`;
  const state = waitsFor === undefined || origin === 'default' ? '' : `  understood, not active yet: ${waitsFor}`;
  return `${valueText}  (${origin}${alias})${state}`;
}

function explain(name: string, { report }: Examined): number {
  const { row, field, subject, otherwise, nearest } = explainName(name);
  if (row === undefined) {
    if (otherwise !== undefined) console.log(`${name} ${otherwise}.`);
    else console.error(`There is no setting ${name}${nearest === undefined ? '' : `; is ${nearest} meant?`}`);
    return otherwise === undefined ? 1 : 0;
  }
  const [own, ...aliases] = row.names;
  const now = report.settings.find((setting) => setting.field === field);
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['subject', subject],
    ['aliases', aliases.join(', ') || undefined],
    ['default', row.defaultText],
    ['secret', row.secret ? 'yes: it is never printed' : undefined],
    ['state', row.activeIn === undefined ? 'takes effect' : `understood, not active yet: ${row.activeIn}`],
    ['now', now === undefined ? 'not set' : lineOf({ ...now, waitsFor: undefined })],
  ];
  console.log(
    [
      own,
      `  ${row.about}`,
      '',
      ...facts.flatMap(([what, text]) => (text === undefined ? [] : [`  ${what.padEnd(8)} ${text}`])),
    ].join('\n'),
  );
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
