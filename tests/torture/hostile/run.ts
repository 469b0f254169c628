import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { admin, type ControlPlane } from '#support/control-plane.ts';
import { type GitOutput, git, runGit } from '#support/git.ts';
import { stateUrl } from '#support/state-clone.ts';
import type { CaseResult } from '../stand/torture.ts';
import { type HostileCase, type Planted, plant } from './corpus.ts';
import { goodSpec } from './paths.ts';
import { createPlanter } from './planter.ts';

export interface Victim {
  readonly plinth: ControlPlane;
  /** A bare repository of ours, from which is pushed. */
  readonly directory: string;
  /** How many valid pushes there were: each has another image. */
  pushes: number;
}

const neighbour = 'environments/local/neighbour/web-shop/project.yaml';
/** The state repository is one for all: a valid push must work at once after each case. */
const mostMs = 1_000;
const mostMiB = 64;

export async function openVictim(plinth: ControlPlane, directory: string): Promise<Victim> {
  mkdirSync(directory, { recursive: true });
  await git(directory, 'init', '--quiet', '--bare');
  const victim = { plinth, directory, pushes: 0 };
  await pushValid(victim);
  return victim;
}

/** Pushes one case and looks at what it did to the server, to the branch and to the neighbours. */
export async function runHostile(victim: Victim, one: HostileCase): Promise<CaseResult> {
  const tip = await quietTip(victim);
  const planted = plant(victim.directory, tip, one);
  const pid = victim.plinth.process.pid ?? 0;
  const watch = watchMemory(pid);
  const begin = performance.now();
  const said = await push(victim, planted);
  const ms = performance.now() - begin;
  const { serverMiB, gitMiB } = watch.stop();
  const failures = [...judge(one, said), ...(await judgeTip(victim, one, planted, tip))];
  const again = performance.now();
  failures.push(
    ...(await pushValid(victim).then(
      () => [],
      (error: Error) => [`the next push fails: ${error.message}`],
    )),
  );
  return {
    failures: failures.map((why) => `${one.name}: ${why}`),
    figures: {
      'answered, ms': ms,
      'a valid push right after, ms': performance.now() - again,
      'server, MiB more': serverMiB,
      'its git processes, MiB': gitMiB,
    },
    counts: {
      [one.expected]: 1,
      ...(ms > mostMs ? { [`more than 1 s: ${one.name}`]: Math.round(ms) } : {}),
      ...(serverMiB > mostMiB ? { [`more than 64 MiB: ${one.name}`]: Math.round(serverMiB) } : {}),
    },
  };
}

/** True once the neighbour runs what was pushed last. */
export async function neighbourRuns({ plinth, pushes }: Victim): Promise<void> {
  await plinth.until(
    '/api/v1/environments/local/projects/neighbour/web-shop',
    (body) => body.images?.[0]?.image === `nginx:v${pushes}` && body.appliedRevision === body.revision,
    20_000,
  );
}

interface Said {
  /** True when the server took it. */
  readonly taken: boolean;
  readonly text: string;
}

async function push({ plinth, directory }: Victim, planted: Planted): Promise<Said> {
  if ('body' in planted) return await send(plinth, planted);
  const refspecs = 'commit' in planted ? [`${planted.commit}:refs/heads/main`] : planted.refspecs;
  const force = 'commit' in planted && planted.force === true ? ['--force'] : [];
  return saidBy(await runGit(directory, ['push', '--quiet', ...force, stateUrl(plinth), ...refspecs]));
}

const saidBy = ({ code, stderr }: GitOutput): Said => ({ taken: code === 0, text: stderr });

/** What git itself would not send. */
async function send(plinth: ControlPlane, { body, headers }: Extract<Planted, { body: Buffer }>): Promise<Said> {
  const authorization = `Basic ${Buffer.from(`${admin.email}:${admin.password}`).toString('base64')}`;
  try {
    const answer = await fetch(`${plinth.url}/git/state.git/git-receive-pack`, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: { authorization, 'content-type': 'application/x-git-receive-pack-request', ...headers },
    });
    const text = `${answer.status} ${await answer.text()}`;
    return { taken: answer.ok && text.includes('ok refs/heads/main'), text };
  } catch (error) {
    return { taken: false, text: String((error as Error).cause ?? error) };
  }
}

/** The sentence of those who do not know themselves what is wrong. */
const vague = /could not check this push|Something unforeseen|INTERNAL/;

function judge({ expected }: HostileCase, { taken, text }: Said): readonly string[] {
  if (taken !== (expected === 'accepted')) return [`it is ${taken ? 'taken' : `refused: ${text.slice(0, 300)}`}`];
  if (taken) return [];
  if (text.includes('fetch first')) return ['it was not judged: the branch had moved'];
  if (vague.test(text)) return [`it is not said why: ${text.slice(0, 300)}`];
  // To what is no git nothing can be said in its protocol.
  return text.trim().length < 3 ? [`it says nothing but ${JSON.stringify(text)}`] : [];
}

async function judgeTip(victim: Victim, { expected }: HostileCase, planted: Planted, before: string) {
  const now = await fetchTip(victim);
  if (expected === 'refused') return now === before ? [] : ['the branch moved'];
  const is = await runGit(victim.directory, [
    'merge-base',
    '--is-ancestor',
    'commit' in planted ? planted.commit : before,
    now,
  ]);
  return is.code === 0 ? [] : ['it is said to be taken and is not in the history'];
}

/** The server's tip, with all that it needs. */
async function fetchTip({ plinth, directory }: Victim): Promise<string> {
  await git(directory, 'fetch', '--quiet', stateUrl(plinth), '+refs/heads/main:refs/heads/server');
  return await git(directory, 'rev-parse', 'refs/heads/server');
}

/** The tip once Plinth has rendered all that was pushed before: what moves the branch then is the case alone. */
async function quietTip(victim: Victim): Promise<string> {
  for (const end = performance.now() + 15_000; ; await sleep(20)) {
    const tip = await fetchTip(victim);
    const paths = (await git(victim.directory, 'ls-tree', '-r', '--name-only', tip, 'environments/local/')).split('\n');
    const there = new Set(paths);
    const bare = paths.find((path) => path.endsWith('/project.yaml') && !there.has(manifestsBeside(path)));
    const { stdout } = await runGit(victim.directory, ['show', `${tip}:${manifestsBeside(neighbour)}`]);
    if (bare === undefined && stdout.includes(`image: nginx:v${victim.pushes}\n`)) return tip;
    if (performance.now() > end) throw new Error(`what was pushed is not rendered: ${bare ?? neighbour}`);
  }
}

const manifestsBeside = (spec: string) => spec.replace(/project\.yaml$/, 'manifests.yaml');

/** What everybody else does meanwhile. */
async function pushValid(victim: Victim): Promise<void> {
  victim.pushes += 1;
  const spec = goodSpec.replace('nginx:1', `nginx:v${victim.pushes}`);
  for (let tries = 1; ; tries++) {
    const planter = createPlanter(victim.directory, await fetchTip(victim));
    const { taken, text } = await push(victim, { commit: planter.file(neighbour, spec) });
    if (taken) return;
    // The rendering commit of the push before may come in between, as it would to everybody.
    if (tries === 20 || !/fetch first|has moved|non-fast-forward|cannot lock|failed to update/.test(text))
      throw new Error(text);
  }
}

/** The most memory beyond what it began with, of the server itself and of the git processes that it starts. */
function watchMemory(pid: number) {
  // From now on its peak counts anew.
  const canReset = existsSync(`/proc/${pid}/clear_refs`);
  if (canReset) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const before = kilobytes(pid, 'VmRSS');
  let gitMost = 0;
  let on = true;
  const looking = (async () => {
    while (on) {
      gitMost = Math.max(
        gitMost,
        childrenOf(pid).reduce((sum, child) => sum + kilobytes(child, 'VmRSS'), 0),
      );
      await sleep(20);
    }
  })();
  return {
    stop: () => {
      on = false;
      void looking;
      return { serverMiB: Math.max(0, kilobytes(pid, 'VmHWM') - before) / 1024, gitMiB: gitMost / 1024 };
    },
  };
}

function kilobytes(pid: number, field: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** The processes below it that are git, at any depth. */
function childrenOf(pid: number): readonly number[] {
  try {
    const below = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(join('/proc', String(pid), 'task', task, 'children'), 'latin1')
        .split(' ')
        .filter(Boolean)
        .map(Number),
    );
    const isGit = (child: number) => readFileSync(`/proc/${child}/comm`, 'latin1').startsWith('git');
    return below.flatMap((child) => (isGit(child) ? [child, ...childrenOf(child)] : []));
  } catch {
    return [];
  }
}
