import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** A new folder under the system's temporary one, for hooks and tests; `remove` takes it away with all that is in it. */
export function temporaryDirectory(name = 'plinth'): { readonly path: string; remove(): void } {
  const path = newPath(name);
  makeFolder(path);
  return { path, remove: () => removeFolder(path) };
}

/**
 * The path of a folder that is there in the hooks and tests of this file or suite, and goes with their end. Call it
 * outside of tests. A suite that is skipped has none, so that nothing is left behind.
 */
export function useTemporaryDirectory(name = 'plinth'): string {
  const path = newPath(name);
  beforeAll(() => makeFolder(path));
  afterAll(() => removeFolder(path));
  return path;
}

const newPath = (name: string) => join(tmpdir(), `${name}-${randomBytes(6).toString('hex')}`);
// Others may pass through, so that PostgreSQL, which as root runs as somebody else, reaches a data directory in it.
const makeFolder = (path: string) => mkdirSync(path, { mode: 0o711 });
const removeFolder = (path: string) => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
