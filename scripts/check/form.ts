import { basename } from 'node:path';
import type { SourceFile } from './source.ts';

const mostLinesOfFile = 400;
const mostLinesOfFunction = 60;
const forbidden = ['utils', 'util', 'helpers', 'helper', 'common', 'lib', 'types', 'service', 'manager'];

/** Files and functions that are too long, and names that say nothing. Functions of tests may be as long as their list. */
export function findFormFaults(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => [...lengthFaults(file), ...nameFaults(file.path)]);
}

function lengthFaults({ path, lines, functions }: SourceFile): readonly string[] {
  const faults: string[] = [];
  if (lines > mostLinesOfFile) faults.push(`${path} has ${lines} lines; the most is ${mostLinesOfFile}`);
  if (path.endsWith('.test.ts')) return faults;
  for (const { name, line, lines: length } of functions) {
    if (length > mostLinesOfFunction)
      faults.push(`${path}:${line} ${name} has ${length} lines; the most is ${mostLinesOfFunction}`);
  }
  return faults;
}

function nameFaults(path: string): readonly string[] {
  const parts = [...path.split('/').slice(0, -1), basename(path).replace(/(\.test)?\.ts$/, '')];
  return parts.flatMap((part) => {
    if (forbidden.includes(part)) return [`${path}: ${part} says nothing; name it by the verb or thing it exports`];
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/.test(part)) return [`${path}: ${part} is not kebab-case`];
    return [];
  });
}
