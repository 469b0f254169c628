/** A commit as people see it. */
export interface CommitInfo {
  /** Full SHA. */
  readonly revision: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: { readonly name: string; readonly email: string };
  /** When it was committed. */
  readonly date: Date;
  readonly subject: string;
  /** The text between subject and trailers; empty when there is none. */
  readonly body: string;
  /** `Key: value` lines of the last paragraph; the values of a key that comes twice are joined by a line break. */
  readonly trailers: Readonly<Record<string, string>>;
}

const trailer = /^([A-Za-z0-9][A-Za-z0-9-]*): ?(.*)$/;

/**
 * Reads the content of a commit object. Trailers of a pushed commit say what its author liked to say: they prove
 * nothing about who made it.
 */
export function parseCommit(revision: string, content: Buffer): CommitInfo {
  const text = content.toString('utf8');
  const split = text.indexOf('\n\n');
  const headers = (split < 0 ? text : text.slice(0, split)).split('\n');
  const header = (key: string) => headers.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1) ?? '';
  const paragraphs = (split < 0 ? '' : text.slice(split + 2)).trim().split(/\n\s*\n/);
  const trailers = paragraphs.length > 1 ? readTrailers(paragraphs.at(-1) ?? '') : undefined;
  const author = readPerson(header('author'));
  return {
    revision,
    tree: header('tree'),
    parents: headers.filter((line) => line.startsWith('parent ')).map((line) => line.slice('parent '.length)),
    author: { name: author.name, email: author.email },
    date: readPerson(header('committer')).date,
    subject: (paragraphs[0] ?? '').replaceAll('\n', ' '),
    body: paragraphs.slice(1, trailers === undefined ? undefined : -1).join('\n\n'),
    trailers: trailers ?? {},
  };
}

function readPerson(text: string): { name: string; email: string; date: Date } {
  const match = /^(.*?) ?<([^>]*)> (\d+) [+-]\d{4}$/.exec(text);
  return { name: match?.[1] ?? '', email: match?.[2] ?? '', date: new Date(Number(match?.[3] ?? 0) * 1000) };
}

function readTrailers(paragraph: string): Record<string, string> | undefined {
  const found = new Map<string, string>();
  for (const line of paragraph.split('\n')) {
    const match = trailer.exec(line);
    if (match === null) return undefined;
    const [, key = '', value = ''] = match;
    const earlier = found.get(key);
    found.set(key, earlier === undefined ? value : `${earlier}\n${value}`);
  }
  return Object.fromEntries(found);
}
