import { subjectsFor } from '#base/config.ts';

/** `.env.example`: every setting, commented out, with its default where that can be written down. */
export function envExample(): string {
  const sections = Object.entries(subjectsFor()).map(([subject, rows]) => {
    const entries = Object.values(rows).map(({ names: [name], about, defaultText, standard, activeIn }) => {
      const state = activeIn === undefined ? '' : ` [waits for: ${activeIn}]`;
      const unset = standard === undefined && defaultText !== 'none' ? ` Not set: ${defaultText}.` : '';
      return `# ${about}${unset}${state}\n#${name}=${standard ?? ''}`;
    });
    return `# ── ${subject} ──\n\n${entries.join('\n\n')}`;
  });
  return `# Made from app/base/config.ts by npm run reference. Copy it to .env, and take away the # before what you set.
# Aliases and more words: reference/settings.md, or npm run config -- explain NAME.

${sections.join('\n\n')}
`;
}
