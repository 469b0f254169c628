import type { ErrorKind } from '#base/errors.ts';
import { code, generatedNote, table } from './markdown.ts';

/** The page of all errors: code, HTTP status, whether a later try can succeed, and the sentence. */
export function errorsPage(kinds: Readonly<Record<string, ErrorKind>>): string {
  const rows = Object.entries(kinds).map(([name, { status, retry, text }]) => [
    code(name),
    String(status),
    retry ? 'may succeed later' : 'final',
    escapeHtml(text),
  ]);
  return `${generatedNote('app/base/errors/')}
# Errors

Every error that Plinth gives on purpose. An answer is \`application/problem+json\`; its \`code\` is one of these, its
\`detail\` is the sentence with the names in braces filled in, and \`data\` holds them. *May succeed later* means that the
same request, unchanged, can succeed at another time.

${table(['code', 'status', 'again', 'sentence'], rows)}
`;
}

const escapeHtml = (text: string) => text.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
