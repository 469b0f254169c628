import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseAst } from 'vitest/node';

/** The folder of the checkout. */
export const repository = resolve(import.meta.dirname, '..', '..');

/** One TypeScript file, as the gates see it. Paths are relative to the repository, with slashes. */
export interface SourceFile {
  readonly path: string;
  readonly lines: number;
  /** What it imports, type imports and re-exports included, as written. */
  readonly imports: readonly Import[];
  readonly functions: readonly FunctionSpan[];
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

export interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  /** Its own: those of functions inside it are counted there. */
  readonly lines: number;
}

/** Reads every TypeScript file below these folders of `root`. */
export function readSources(folders: readonly string[], root = repository): readonly SourceFile[] {
  const paths = folders.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root }));
  return paths
    .filter((path) => !path.includes('node_modules'))
    .sort()
    .map((path) => parseSource(path, readFileSync(join(root, path), 'utf8')));
}

/** Exact, by the syntax tree: neither a comment nor a string can be taken for an import. */
export function parseSource(path: string, text: string): SourceFile {
  const imports: Import[] = [];
  const functions: FunctionSpan[] = [];
  const lineAt = lineCounter(text);
  const visit = (node: TreeNode, name: string) => {
    const source = importedBy(node);
    if (source !== undefined) imports.push({ specifier: source.value, line: lineAt(source.start) });
    if (functionKinds.has(node.type)) {
      const line = lineAt(node.start);
      const inner = innermost(node).map((each) => lineAt(each.end) - lineAt(each.start));
      const own = lineAt(node.end) - line + 1 - inner.reduce((sum, lines) => sum + lines, 0);
      functions.push({ name: nameOf(node) ?? name, line, lines: own });
    }
    for (const child of childrenOf(node)) visit(child, nameOf(node) ?? name);
  };
  visit(parseAst(text, { lang: 'ts' }, path) as unknown as TreeNode, '(anonymous)'); // ESTree is read by shape here
  return { path, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0), imports, functions };
}

interface TreeNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

const functionKinds = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const importKinds = new Set([
  'ImportDeclaration',
  'ExportNamedDeclaration',
  'ExportAllDeclaration',
  'ImportExpression',
  'TSImportType',
]);

/** The functions directly in a function: each is read, and counted, by itself. */
function innermost(node: TreeNode): readonly TreeNode[] {
  return childrenOf(node).flatMap((child) => (functionKinds.has(child.type) ? [child] : innermost(child)));
}

function importedBy(node: TreeNode): { readonly value: string; readonly start: number } | undefined {
  if (!importKinds.has(node.type) || !isNode(node.source)) return undefined;
  const { value, start } = node.source;
  return typeof value === 'string' ? { value, start } : undefined;
}

function nameOf(node: TreeNode): string | undefined {
  const named = [node.id, node.key].find(isNode);
  return typeof named?.name === 'string' ? named.name : undefined;
}

const isNode = (value: unknown): value is TreeNode =>
  typeof value === 'object' && value !== null && typeof (value as TreeNode).type === 'string'; // asked for right here

const childrenOf = (node: TreeNode): readonly TreeNode[] => Object.values(node).flat().filter(isNode);

function lineCounter(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
