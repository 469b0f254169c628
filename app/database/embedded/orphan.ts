import { execFile } from 'node:child_process';
import { readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '#base/clock.ts';
import { isAlive } from '#base/data-directory.ts';
import { type Home, port } from './home.ts';
import { readText, startFailed } from './initialise.ts';

const pollMs = 5;
const socketLock = `.s.PGSQL.${port}.lock`;

/**
 * Stops the server that a killed process left on this data. Nothing committed is lost: it is a fast shutdown, and if
 * that hangs, the log is replayed at the next start.
 *
 * @throws Fault DATABASE_START_FAILED when it does not end
 */
export async function takeOver(home: Home, clock: Clock, signal: AbortSignal): Promise<void> {
  const pid = Number((await readText(join(home.data, 'postmaster.pid')))?.split('\n')[0]);
  if (isAlive(pid) && (await isServerOf(pid, home.data))) await end(pid, home, clock, signal);
  await disown(join(home.data, 'postmaster.pid'));
  await disown(join(home.socket, socketLock));
}

/**
 * A lock whose number belongs to another process by now, or to an ended one that nobody waited for, would keep the
 * new server from starting. It is not removed, because its other lines tell the server whether processes of the old
 * one still use the data; only the number is replaced by ours, which the server knows for its parent's.
 */
async function disown(lock: string): Promise<void> {
  const text = await readText(lock);
  if (text !== undefined && isAlive(Number(text.split('\n')[0])))
    await writeFile(lock, text.replace(/^\d+/, String(process.pid)));
}

async function end(pid: number, home: Home, clock: Clock, signal: AbortSignal): Promise<void> {
  for (const [stop, patienceMs] of [
    ['SIGINT', 10_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    send(pid, stop);
    const deadlineMs = clock.monotonicMs() + patienceMs;
    while (clock.monotonicMs() < deadlineMs) {
      if (!isAlive(pid) || !(await isServerOf(pid, home.data))) return;
      await clock.sleep(pollMs, signal);
    }
  }
  throw startFailed(`process ${pid} holds ${home.data} and does not end`);
}

/** The server works in its data folder; where there is no /proc, its command line names it. */
async function isServerOf(pid: number, data: string): Promise<boolean> {
  if (process.platform === 'linux') return (await readlink(`/proc/${pid}/cwd`).catch(() => '')) === data;
  const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'command=']).catch(() => ({
    stdout: '',
  }));
  return stdout.includes(data);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in this moment.
  }
}
