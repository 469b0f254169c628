import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Progress, summaryOf, type Torture } from '../../tests/torture/stand/torture.ts';
import { describeMachine } from '../bench/machine.ts';
import { repository } from '../check/source.ts';

const path = join(repository, 'reference', 'torture.md');

const header = `# Torture: the last results

Written by \`npm run torture -- <name>\`, a section by each program when it ends; \`npm test\` runs a sample of every one. A
run is made from its seed: \`npm run torture -- <name> --seed <seed> --count 1\` has one case again, as nearly as time allows.
`;

/** Writes the section of one program and leaves the others as they are. */
export function writeSection(name: string, torture: Torture, progress: Progress): void {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : header;
  const sections = new Map(
    before
      .split(/^(?=## )/m)
      .slice(1)
      .map((text) => [titleOf(text), text]),
  );
  sections.set(name, sectionOf(name, torture, progress));
  const sorted = [...sections.keys()].sort().map((title) => sections.get(title)?.trim());
  writeFileSync(path, `${[header.trim(), ...sorted].join('\n\n')}\n`);
}

const titleOf = (section: string) => /^## (.*)$/m.exec(section)?.[1] ?? '';

function sectionOf(name: string, torture: Torture, progress: Progress): string {
  const { seed, done, failures, seconds } = progress;
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  const seeds = `${seed} to ${seed + done - 1}`;
  return [
    `## ${name}`,
    torture.what,
    [
      '| | |',
      '| --- | --- |',
      `| ${torture.unit} | ${done} of ${torture.whole} |`,
      `| failed | ${failures.length} |`,
      `| seeds | ${seeds} |`,
      `| date | ${date} UTC, ${Math.round(seconds)} s, ${(done / Math.max(seconds, 1)).toFixed(2)} a second |`,
      ...summaryOf(progress).map(([what, text]) => `| ${what} | ${text} |`),
    ].join('\n'),
    `\`\`\`\n${describeMachine().join('\n')}\n\`\`\``,
    ...failures.slice(0, 20).map(({ seed: at, why }) => `- seed ${at}: ${plain(why.join('; '))}`),
  ].join('\n\n');
}

/** One line of a list, without what Markdown would take for more. */
const plain = (text: string) => text.split('\n')[0]?.slice(0, 300).replaceAll('|', '/') ?? '';
