import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from '#support/temporary.ts';

const main = fileURLToPath(new URL('../../../app/main.ts', import.meta.url));

/** A start that did not come to anything. */
export interface Ended {
  readonly code: number | null;
  readonly said: string;
  readonly hasEmbeddedDatabase: boolean;
}

/**
 * Starts Plinth by this `.env` and waits for its end.
 * @param stopAt what it says at the moment when it is asked to stop; absent: it ends by itself
 */
export async function startAndEnd(envFile: string, stopAt?: string): Promise<Ended> {
  const { path, remove } = temporaryDirectory('plinth-refusal');
  onTestFinished(remove);
  const dataDirectory = join(path, 'data');
  writeFileSync(join(path, '.env'), envFile);
  const ports = { API_PORT: '0', CONSOLE_PORT: '0', METRICS_PORT: '0' };
  const child = spawn(process.execPath, [main], {
    cwd: path,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: path, DATA_DIR: dataDirectory, ...ports },
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      const before = said;
      said += text;
      if (stopAt !== undefined && said.includes(stopAt) && !before.includes(stopAt)) child.kill('SIGTERM');
    });
  const [code] = await once(child, 'close');
  return { code, said, hasEmbeddedDatabase: existsSync(join(dataDirectory, 'postgres')) };
}
