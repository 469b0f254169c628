import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { type Git, gitFault } from './process.ts';

/** What git must keep to in this repository, whoever starts it. Included from the repository's own config file. */
const settings = `# Written by Plinth at every start.
[core]
	# What was acknowledged is on the disk.
	fsync = objects,derived-metadata,reference
	fsyncMethod = fsync
	hooksPath = /dev/null
	logAllRefUpdates = false
[receive]
	denyNonFastForwards = true
	denyDeletes = true
	fsckObjects = true
	autogc = false
	updateServerInfo = false
[transfer]
	fsckObjects = true
	# Packs, not loose objects: few files to sync, and housekeeping knows packs.
	unpackLimit = 1
	# What a fetch left of the remote is nobody else's business.
	hideRefs = refs/plinth
[uploadpack]
	allowFilter = true
	# A partial clone asks for single blobs; who may read may read all of this repository.
	allowAnySHA1InWant = true
[protocol]
	version = 2
[gc]
	auto = 0
[maintenance]
	auto = false
[repack]
	writeBitmaps = false
`;
const settingsFile = 'plinth.config';

/** Makes the repository when it is absent, brings its settings up to date, and clears what a killed git left behind. */
export async function prepare(git: Git, branch: string, log: Log): Promise<void> {
  const { directory } = git;
  try {
    await mkdir(dirname(directory), { recursive: true });
    const present = await readFile(join(directory, 'HEAD')).catch(() => undefined);
    if (present === undefined) await create(git, branch, log);
    const before = await readFile(join(directory, settingsFile), 'utf8').catch(() => undefined);
    if (before !== settings) await writeWhole(join(directory, settingsFile), settings);
    await clearLeftovers(directory, log);
  } catch (error) {
    if (Fault.is(error)) throw error;
    throw gitFault(directory, String(error), error);
  }
}

/** HEAD is written last by a rename, so that a start killed in the middle is begun again by the next one. */
async function create(git: Git, branch: string, log: Log): Promise<void> {
  const { directory } = git;
  const making = `${directory}.making`;
  await rm(making, { recursive: true, force: true });
  const environment = { GIT_DIR: making };
  await git.run(['init', '--quiet', '--bare', '--template=', '--object-format=sha1', `--initial-branch=${branch}`], {
    environment,
  });
  await git.run(['config', '--file', join(making, 'config'), 'include.path', settingsFile], { environment });
  await writeWhole(join(making, settingsFile), settings);
  await rename(making, directory);
  log.info({ directory }, 'state repository made');
}

/** Writes a file whole or not at all. */
export async function writeWhole(file: string, text: string): Promise<void> {
  const part = `${file}.part`;
  await writeFile(part, text, { flush: true });
  await rename(part, file);
}

/** Nobody else has the repository open at a start: every lock, half-written pack and quarantine is a dead process's. */
async function clearLeftovers(directory: string, log: Log): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const dead = entries.filter(
    ({ name, parentPath }) =>
      name.endsWith('.lock') ||
      (parentPath.startsWith(join(directory, 'objects')) && /^(tmp_|\.tmp-|incoming-)/.test(name)),
  );
  for (const { name, parentPath } of dead) await rm(join(parentPath, name), { recursive: true, force: true });
  if (dead.length > 0) log.info({ files: dead.map(({ name }) => name) }, 'leftovers of a killed git removed');
}
