import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Database } from '#database/pool.ts';
import { type Finding, InvalidInput } from '#environments/finding.ts';
import { environmentFile, root } from '#environments/layout.ts';
import { loadEnvironments } from '#environments/load.ts';
import { commit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import { isFolder } from '#git/trees.ts';
import { type FileChange, type ManifestSettings, writeSettings } from './settings-file.ts';
import { recordCommitted } from './store.ts';

export type { ManifestSettings } from './settings-file.ts';

export interface SettingsDoors {
  readonly repository: Repository;
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
}

const environment = 'local';
const file = environmentFile(environment);
const actor = 'settings';
const mostTries = 8;

/**
 * Commits the settings that shape manifests into environment.yaml of `local`, where synth reads them; nothing differs:
 * no commit. Call it after the repository is there and before the loops start: the publisher then finds an environment
 * that changed, and renders its projects in slices, as after a push; and the controller of `local` begins with the
 * runtime that was asked for. An environment that was unreadable before is left as it is, and said.
 *
 * @returns the revision of the commit, or undefined
 * @throws Fault CONFIG_INVALID naming each setting whose value the file cannot hold; nothing is committed then
 */
export async function commitSettings(doors: SettingsDoors, values: ManifestSettings): Promise<string | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      return await tryCommit(doors, values);
    } catch (error) {
      // Somebody pushed: the settings go on top of that.
      if (!Fault.is(error, 'REVISION_MOVED') || tries === mostTries) throw error;
    }
  }
}

async function tryCommit(doors: SettingsDoors, values: ManifestSettings): Promise<string | undefined> {
  const { repository, clock, log } = doors;
  const tip = await repository.tip();
  const files = tip === undefined ? new Map<string, Uint8Array>() : await readFiles(repository, tip);
  const present = files.get(file);
  if (present === undefined) {
    const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== '');
    if (given.length > 0) log.warn({ file }, 'settings of projects have no effect: there is no environment local');
    return undefined;
  }
  const broken = findingsOf(files);
  if (broken.length > 0) {
    const findings = broken.map(({ file: where, message }) => `${where}: ${message}`);
    log.error({ findings }, 'the environments in Git cannot be read; the settings of projects are not written there');
    return undefined;
  }
  const { text, changes } = write(Buffer.from(present).toString('utf8'), values);
  if (changes.length === 0) return undefined;
  refuseFaults(findingsOf(new Map([...files, [file, Buffer.from(text)]])), changes);

  const id = newId('change', clock.now());
  const subject = `Settings of ${environment}: ${changes.map(({ path }) => path).join(', ')}`.slice(0, 120);
  const body = changes.map(sentence).join('\n');
  const trailers = [
    ['Plinth-Change', id],
    ['Plinth-Actor', actor],
  ] as const;
  const author = { name: actor, email: `${actor}@plinth.localhost` };
  const edits = [{ path: file, content: text }];
  const [revision] = await commit(repository, {
    expected: tip,
    commits: [{ edits, subject, body, trailers, author, at: clock.now() }],
  });
  for (const one of changes)
    log[one.byHand ? 'warn' : 'info']({ ...one, environment, revision }, 'a setting was written into environment.yaml');
  const change = { id, kind: 'settings', environment, team: '', project: '', actor, message: subject } as const;
  await doors.database.transaction((tx) => recordCommitted(tx, change, revision ?? ''));
  return revision;
}

/** Every environment.yaml at a revision, by path. */
async function readFiles(repository: Repository, revision: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const folders = (await repository.children(revision, root)).filter((entry) => isFolder(entry));
  const paths = folders.filter(({ name }) => name !== 'platform').map(({ name }) => environmentFile(name));
  const contents = await repository.readMany(revision, paths);
  return new Map(paths.flatMap((path, i) => (contents[i] === undefined ? [] : [[path, contents[i]] as const])));
}

function findingsOf(files: ReadonlyMap<string, Uint8Array>): readonly Finding[] {
  try {
    loadEnvironments([...files].map(([path, content]) => ({ path, content })));
    return [];
  } catch (error) {
    if (error instanceof InvalidInput) return error.findings;
    throw error;
  }
}

function write(text: string, values: ManifestSettings): ReturnType<typeof writeSettings> {
  try {
    return writeSettings(text, values);
  } catch (error) {
    const why = (error as Error).message; // of the library that writes YAML
    throw new Fault('CONFIG_INVALID', { faults: `  - settings of projects cannot be written into ${file}: ${why}` });
  }
}

/** @throws Fault CONFIG_INVALID; everything was in order before, so what is wrong now came from the settings */
function refuseFaults(findings: readonly Finding[], changes: readonly FileChange[]): void {
  if (findings.length === 0) return;
  const faults = findings.map((finding) => {
    const place = finding.path === '' ? '' : `${finding.path}: `;
    return `  - ${blame(finding, changes)} does not fit into ${finding.file}: ${place}${finding.message}`;
  });
  throw new Fault('CONFIG_INVALID', { faults: faults.join('\n') });
}

function blame({ path }: Finding, changes: readonly FileChange[]): string {
  // Another environment's domain, or a custom host, may be what the new domain is in the way of.
  const field = path.startsWith('hosts.') ? 'domain' : path;
  const guilty = changes.filter((one) => one.path === field);
  return (guilty.length > 0 ? guilty : changes).map(({ setting }) => setting).join(', ');
}

function sentence({ setting, path, before, after, byHand }: FileChange): string {
  const was = before === undefined ? '' : ` (was ${before}${byHand ? ', written by hand' : ''})`;
  if (after === undefined) return `${path}: back to the default${was}, ${setting} is not set any more`;
  return `${path}: ${after}${was}, ${setting}`;
}
