import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, buildOnce, directoryOf } from '../golang/build-once.ts';
import { buildFlags, go, missingGo } from '../golang/go.ts';

const folder = join(import.meta.dirname, 'server');
const files = ['go.mod', 'go.sum'];
const modulePath = 'code.gitea.io/gitea';
const buildDirectory = (cache?: string) => directoryOf('gitea', { folder, files }, cache);

/** A built Gitea: the program, and the folder with its templates and locales (`STATIC_ROOT_PATH`). */
export interface GiteaBuild {
  readonly program: string;
  readonly static: string;
}

const partsOf = (directory: string): GiteaBuild => ({
  program: join(directory, 'gitea'),
  static: join(directory, 'static'),
});

/** Whether it is there already, so that a test can start it at once. */
export const isGiteaBuilt = (cache?: string): boolean => existsSync(buildDirectory(cache));

/** Why Gitea cannot be had on this machine, with what to do about it; undefined when it can. Takes no longer than 0.1 s. */
export function missingForGitea(cache?: string): string | undefined {
  return isGiteaBuilt(cache) ? undefined : missingGo(folder);
}

/**
 * Builds a real Gitea for tests into the cache when it is not there: 75 s on 4 cores, three minutes on 2. It is built
 * without cgo, so no C compiler is needed, and keeps its data in PostgreSQL instead of SQLite. Templates and locales
 * are copied beside it: it runs without the module cache.
 */
export async function buildGitea({ cache, say = () => {} }: BuildOptions = {}): Promise<GiteaBuild> {
  const directory = buildDirectory(cache);
  if (existsSync(directory)) return partsOf(directory);
  const missing = missingForGitea(cache);
  if (missing !== undefined) throw new Error(missing);
  await buildOnce(directory, async (unfinished) => {
    const begin = performance.now();
    say('building Gitea (for tests) from Go modules; this takes 1 to 4 minutes, once');
    let compiled = 0;
    const elapsed = () => `${Math.round((performance.now() - begin) / 1000)} s`;
    const ticker = setInterval(() => say(`${compiled} of about 1200 packages compiled, ${elapsed()}`), 15_000);
    const parts = partsOf(unfinished);
    const flags = ['-v', ...buildFlags(), '-ldflags', `-s -w -X main.Version=${wantedVersion()}`, '-o', parts.program];
    // Lines about downloads have a space, names of packages have none.
    const complaint = (line: string) => {
      if (!line.includes(' ')) compiled += 1;
    };
    await go(folder, ['build', ...flags, modulePath], { complaint }).finally(() => clearInterval(ticker));
    await copyStatic(parts.static);
    say(`built in ${elapsed()}`);
  });
  return partsOf(directory);
}

/** As go.mod has it. */
function wantedVersion(): string {
  const version = /code\.gitea\.io\/gitea v(\S+)/.exec(readFileSync(join(folder, 'go.mod'), 'utf8'))?.[1];
  if (version === undefined) throw new Error('scripts/gitea/server/go.mod does not name a version of Gitea');
  return version;
}

async function copyStatic(target: string): Promise<void> {
  let source = '';
  const output = (line: string) => {
    source = line;
  };
  await go(folder, ['list', '-m', '-f', '{{.Dir}}', modulePath], { output });
  // What the module cache holds is read-only, folders too: so it is copied as it is, and nobody writes into it.
  for (const part of ['options', 'public', 'templates'])
    cpSync(join(source, part), join(target, part), { recursive: true });
}
