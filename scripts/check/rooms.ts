import { posix } from 'node:path';
import type { SourceFile } from './source.ts';

/** A room of the house: where it is, and which rooms it may import from. */
export interface Room {
  readonly folder: string;
  /** Names of rooms, or of single files of a room (`synth/project.ts`). */
  readonly mayImport: readonly string[];
  /** The files that others may import. Absent: every file of the folder itself, none of its subfolders. */
  readonly doors?: readonly string[];
}

const floor = ['base', 'contract', 'database', 'http'];
const projectsMayImport = [...floor, 'git', 'synth', 'environments', 'secrets', 'audit', 'publish', 'reconcile'];
const lifecycleMayImport = [...projectsMayImport, 'projects', 'runtime', 'notify'];

/** The table of the design: a room may import only what stands behind its arrow. Changed only together with the design. */
export const rooms: Readonly<Record<string, Room>> = {
  environments: { folder: 'environments', mayImport: [] },
  synth: { folder: 'synth', mayImport: ['environments'], doors: ['render.ts', 'project.ts', 'json-schema.ts'] },
  base: { folder: 'app/base', mayImport: [] },
  contract: {
    folder: 'app/contract',
    mayImport: ['synth/project.ts', 'environments/schema.ts', 'environments/layout.ts'],
  },
  database: { folder: 'app/database', mayImport: ['base'] },
  audit: { folder: 'app/audit', mayImport: ['base', 'database'] },
  git: { folder: 'app/git', mayImport: ['base'] },
  runtime: { folder: 'app/runtime', mayImport: ['base'] },
  http: { folder: 'app/http', mayImport: ['base', 'contract'] },
  secrets: { folder: 'app/secrets', mayImport: [...floor, 'audit'] },
  notify: { folder: 'app/notify', mayImport: [...floor, 'secrets'] },
  auth: { folder: 'app/auth', mayImport: [...floor, 'audit', 'notify', 'secrets'] },
  llm: { folder: 'app/llm', mayImport: [...floor, 'secrets', 'audit', 'notify'] },
  publish: {
    folder: 'app/publish',
    mayImport: ['base', 'database', 'git', 'synth', 'environments', 'secrets', 'audit'],
  },
  reconcile: {
    folder: 'app/reconcile',
    mayImport: [...floor, 'git', 'runtime', 'environments', 'secrets', 'audit', 'notify'],
  },
  projects: { folder: 'app/projects', mayImport: projectsMayImport },
  lifecycle: { folder: 'app/lifecycle', mayImport: lifecycleMayImport },
  promote: { folder: 'app/promote', mayImport: [...lifecycleMayImport, 'lifecycle'] },
  console: { folder: 'app/console', mayImport: ['contract'] },
  cli: { folder: 'app/cli', mayImport: ['contract', 'synth', 'environments'] },
  infra: { folder: 'infra', mayImport: [] },
  stacks: { folder: 'stacks', mayImport: ['infra', 'synth', 'environments'] },
};

/**
 * main.ts, server.ts and what they are split into stand in app/ itself, in no room. Only they join rooms: through any
 * door, and past it where they choose between what is behind (a runtime, a host). No room imports them.
 */
const isJoint = (path: string) => /^app\/[^/]+\.ts$/.test(path);
/** Not rooms: they may import everything, nobody may import them. */
const outside: Readonly<Record<string, string>> = { scripts: 'scripts', support: 'tests/support' };

/** Every import that takes another way than the doors, with the file and line it stands in. */
export function findRoomFaults(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) =>
    file.imports.flatMap(({ specifier, line }) => {
      const fault = importFault(file.path, specifier);
      return fault === undefined ? [] : [`${file.path}:${line} imports ${specifier}: ${fault}`];
    }),
  );
}

function importFault(importer: string, specifier: string): string | undefined {
  const room = roomOf(importer);
  if (specifier.startsWith('.')) {
    const target = resolveImport(importer, specifier);
    if (isOutside(importer) && isOutside(target!)) return undefined;
    return roomOf(target!) === room ? undefined : 'a relative path must not leave its room; write #room/file.ts';
  }
  if (!specifier.startsWith('#')) return undefined;
  const [name, ...rest] = specifier.slice(1).split('/');
  const file = rest.join('/');
  if (isOutside(importer)) return undefined;
  if (outside[name!] !== undefined) return 'scripts and tests are not part of the house';
  const target = rooms[name!];
  if (target === undefined) return `there is no room ${name}`;
  if (name === room) return `inside a room the path is relative; write ./${file}`;
  if (isJoint(importer)) return undefined;
  if (room === undefined) return 'only the files of app/ itself join rooms';
  const { mayImport } = rooms[room]!;
  if (!mayImport.includes(name!) && !mayImport.includes(`${name}/${file}`))
    return `${room} may import only ${mayImport.join(', ') || 'nothing'}`;
  const isDoor = target.doors === undefined ? rest.length === 1 : target.doors.includes(file);
  return isDoor ? undefined : `that is no door of ${name}; ${doorsText(target)}`;
}

const doorsText = ({ folder, doors }: Room) =>
  doors === undefined ? `the files of ${folder} itself are, its subfolders are not` : `these are: ${doors.join(', ')}`;

const isOutside = (path: string) => path.startsWith('scripts/') || path.startsWith('tests/') || !path.includes('/');

function roomOf(path: string): string | undefined {
  return Object.entries(rooms).find(([, { folder }]) => path.startsWith(`${folder}/`))?.[0];
}

/** The repository's path of what an import names, or undefined for packages. */
function resolveImport(importer: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(importer), specifier);
  if (!specifier.startsWith('#')) return undefined;
  const [name, ...rest] = specifier.slice(1).split('/');
  const folder = rooms[name!]?.folder ?? outside[name!];
  return folder === undefined ? undefined : posix.join(folder, ...rest);
}

/** Every group of files that import each other in a circle, type imports included. */
export function findCircles(files: readonly SourceFile[]): readonly string[] {
  const known = new Set(files.map(({ path }) => path));
  const targets = new Map(
    files.map(({ path, imports }) => [
      path,
      imports.map(({ specifier }) => resolveImport(path, specifier)).filter((target) => known.has(target ?? '')),
    ]),
  );
  const done = new Set<string>();
  const way: string[] = [];
  const circles: string[] = [];
  const walk = (path: string) => {
    const begin = way.indexOf(path);
    if (begin >= 0) circles.push(`${[...way.slice(begin), path].join(' → ')} is a circle`);
    if (begin >= 0 || done.has(path)) return;
    way.push(path);
    for (const target of targets.get(path) ?? []) walk(target!);
    way.pop();
    done.add(path);
  };
  for (const { path } of files) walk(path);
  return circles;
}
