import { settings } from '#base/config.ts';
import { code, generatedNote, table } from './markdown.ts';

/** The page of all settings: names, default and meaning. */
export function settingsPage(): string {
  const rows = Object.values(settings).map((setting) => {
    const [name, ...aliases] = setting.names;
    const secret = 'secret' in setting && setting.secret ? ' Never printed.' : '';
    return [code(name), aliases.map(code).join(', '), setting.defaultText, `${setting.about}${secret}`];
  });
  return `${generatedNote('app/base/config.ts')}
# Settings

Environment variables that the control plane reads once, at its start. An alias means the same as its name; both with
different values are refused. Everything that is wrong is said at once.

${table(['name', 'alias', 'default', 'meaning'], rows)}
`;
}
