/** What stands at the head of every generated page. */
export const generatedNote = (source: string) =>
  `<!-- Made from ${source} by npm run reference. Edit that file, never this one. -->`;

/** A Markdown table; line breaks and pipes inside cells are escaped. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', '<br>');

/** Text as code; a placeholder in angle brackets would otherwise vanish as HTML. */
export const code = (text: string) => `\`${text}\``;
