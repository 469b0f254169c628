/**
 * Plain data as block YAML that a person can read, equal data as equal bytes. Every reader of YAML 1.1 (kubectl, Argo
 * CD, Flux) and 1.2 gives the same data back: whatever one of them could take for something else is quoted.
 *
 *     writeBlockYaml({ b: 'yes', a: [1, { c: 'text' }] })
 *     // a:
 *     //   - 1
 *     //   - c: text
 *     // b: "yes"
 */
export function writeBlockYaml(value: unknown): string {
  const lines: string[] = [];
  writeNode(value, '', '', lines);
  return `${lines.join('\n')}\n`;
}

/** `lead` is what stands on the first line before the node: indentation, `key:` or `-`. */
function writeNode(value: unknown, lead: string, indent: string, lines: string[]): void {
  if (Array.isArray(value) && value.length > 0) {
    if (lead !== '') lines.push(lead);
    for (const item of value) writeItem(item, indent, lines);
  } else if (isMap(value)) {
    const entries = entriesOf(value);
    if (entries.length === 0) {
      lines.push(join(lead, '{}'));
      return;
    }
    if (lead !== '') lines.push(lead);
    for (const [key, inner] of entries) writeEntry(key, inner, indent, indent, lines);
  } else {
    writeScalar(value, lead, indent, lines);
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const entriesOf = (map: Record<string, unknown>) =>
  Object.entries(map)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));

const join = (lead: string, text: string) => (lead === '' ? text : `${lead} ${text}`);

function writeEntry(key: string, value: unknown, first: string, indent: string, lines: string[]): void {
  writeNode(value, `${first}${scalarText(key)}:`, `${indent}  `, lines);
}

/** The first key of a map stands beside the dash. */
function writeItem(item: unknown, indent: string, lines: string[]): void {
  const inner = `${indent}  `;
  const entries = isMap(item) ? entriesOf(item) : [];
  if (entries.length === 0) {
    writeNode(item, `${indent}-`, inner, lines);
    return;
  }
  for (const [index, [key, value]] of entries.entries())
    writeEntry(key, value, index === 0 ? `${indent}- ` : inner, inner, lines);
}

function writeScalar(value: unknown, lead: string, indent: string, lines: string[]): void {
  if (typeof value === 'string' && isReadableText(value)) {
    const chomp = value.endsWith('\n') ? '' : '-';
    const body = chomp === '' ? value.slice(0, -1) : value;
    lines.push(
      join(lead, `|${chomp}`),
      ...body.split('\n').map((line) => (line === '' ? '' : `${indent || '  '}${line}`)),
    );
  } else {
    lines.push(join(lead, scalarText(value)));
  }
}

function scalarText(value: unknown): string {
  if (typeof value !== 'string') return Array.isArray(value) ? '[]' : JSON.stringify(value);
  return isPlain(value) ? value : quoted(value);
}

/** Words that are truth values or nothing in YAML 1.1, and `e1`, which some of its readers take for a number. */
const words = /^(y|n|yes|no|on|off|true|false|null|[-+]?e[-+]?\d+)$/i;
const plain = /^(--?(?=[A-Za-z])|[A-Za-z/_$])[A-Za-z0-9 _./@:=+,$()&;|?*%^!<>~-]*$/;
/** Amounts and ranges: no reader takes them for a number. */
const amount = /^(\d+(m|[KMGT]i)|\d+(\.\d+){3}\/\d+|\d+(\.\d+){3})$/;

const isPlain = (text: string) =>
  amount.test(text) || (plain.test(text) && !words.test(text) && !/: | #|[: ]$/.test(text));

// Line ends of YAML 1.1 that 1.2 does not know, the byte order mark, and what is not printable.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]/;

/** Several lines whose blanks survive a literal block. */
const isReadableText = (text: string) =>
  text.includes('\n') && /^[^\s]/.test(text) && !/\n\n$|[ \t]+(\n|$)/.test(text) && !unprintable.test(text);

function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, (sign) => {
    return `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
