import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, totalmem } from 'node:os';
import { createInterface } from 'node:readline';

const wantedGo = { major: 1, minor: 26 };
/** One Go compiler at work on Kubernetes or Vault takes up to this much memory. */
const bytesPerCompiler = 2 * 1024 ** 3;

/** Flags that make a build reproducible, smaller, and fit for this machine. */
export function buildFlags(): readonly string[] {
  const compilers = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / bytesPerCompiler)));
  // Without debug information: a fifth less CPU and memory.
  return [`-p=${compilers}`, '-trimpath', '-buildvcs=false', '-gcflags=all=-dwarf=false'];
}

/** Why Go modules cannot be built here, with what to do about it; undefined when they can. */
export function missingGo(folder: string): string | undefined {
  const wanted = `${wantedGo.major}.${wantedGo.minor}`;
  const found = spawnSync('go', ['version'], { cwd: folder, encoding: 'utf8' });
  if (found.error)
    return `Go is missing; install Go ${wanted} or newer and put it on the PATH (see go.dev/doc/install)`;
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(found.stdout) ?? [];
  const enough = Number(major) === wantedGo.major && Number(minor) >= wantedGo.minor;
  return enough ? undefined : `Go ${wanted} or newer is wanted, here is: ${(found.stdout || found.stderr).trim()}`;
}

/** Neither a workspace around the checkout nor the caller's flags may change what is built. */
export const goEnv = () => ({ ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' });

/** Runs go in a folder, a line of its two outputs at a time; a failure carries the last lines of what it complained about. */
export async function go(
  folder: string,
  args: readonly string[],
  each: { output?: (line: string) => void; complaint?: (line: string) => void } = {},
): Promise<void> {
  const child = spawn('go', args, { cwd: folder, env: goEnv(), stdio: ['ignore', 'pipe', 'pipe'] });
  const last: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => each.output?.(line));
  createInterface({ input: child.stderr }).on('line', (line) => {
    last.push(line);
    if (last.length > 20) last.shift();
    each.complaint?.(line);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`go ${args[0]} ended with ${code}:\n${last.join('\n')}`);
}
