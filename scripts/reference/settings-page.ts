import { chatKeyPattern } from '#base/config/llm.ts';
import type { Setting } from '#base/config/setting.ts';
import { subjectsFor } from '#base/config.ts';
import { code, generatedNote, table } from './markdown.ts';

/** The page of all settings by subject: names, default, state and meaning; and every other name with its setting. */
export function settingsPage(): string {
  const subjects = Object.entries(subjectsFor());
  const rows = subjects.flatMap(([, each]) => Object.values(each));
  return `${generatedNote('app/base/config.ts')}
# Settings

Environment variables that the control plane reads once, at its start; \`.env\` of the working directory is read too, and
the process environment beats it. A \`.env\` of Tesslate Studio or of Archestra can stay as it is: their names are known,
those that begin with \`ARCHESTRA_\` also without that. A setting that is given twice with two meanings is refused
(\`DATABASE_URL\` says its order). Empty text means: not set. Everything that is wrong is said at once.

\`npm run config -- check\` shows every setting, its value and where that came from; \`npm run config -- explain NAME\` tells
what one means. Sizes and times take units: \`50MB\`, \`10Gi\`, \`90s\`, \`30d\`. *Waits for* means: read and checked now, in
effect once that part of Plinth is there.

${subjects.map(([subject, each]) => sectionOf(subject, Object.values(each))).join('\n\n')}

## Other names

${table(
  ['name', 'means'],
  rows
    .flatMap(({ names: [name, ...aliases] }) => aliases.map((alias) => [code(alias), linkTo(name)]))
    .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
)}
`;
}

function sectionOf(subject: string, rows: readonly Setting<unknown>[]): string {
  const note = rows.some(isChatKey)
    ? `\n\nAny other provider has its key likewise: \`${chatKeyPattern}\`, with the provider's name in letters.`
    : '';
  return `## ${subject}\n\n${table(['name', 'also', 'default', 'meaning'], rows.map(cellsOf))}${note}`;
}

function cellsOf(row: Setting<unknown>): readonly string[] {
  const [name, ...aliases] = row.names;
  const notes = [
    row.secret ? ' Never printed.' : '',
    row.activeIn === undefined ? '' : ` *Waits for: ${row.activeIn}.*`,
  ];
  const standard = row.standard === undefined ? escapeHtml(row.defaultText) : code(row.standard);
  return [
    `<a id="${name}"></a>${code(name)}`,
    aliases.map(code).join(', '),
    standard,
    `${escapeHtml(row.about)}${notes.join('')}`,
  ];
}

const isChatKey = ({ names }: Setting<unknown>) => names.includes('CHAT_OPENAI_API_KEY');
const linkTo = (name: string) => `[${code(name)}](#${name})`;
const escapeHtml = (text: string) => text.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
