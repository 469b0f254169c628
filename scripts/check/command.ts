import { $ } from 'zx';
import type { Gate } from './gate.ts';
import { repository } from './source.ts';

/** A gate that is a command of node_modules: it holds when the command ends with 0, else its output is the findings. */
export function commandGate(name: string, command: string, ...args: readonly string[]): Gate {
  const run = $({
    cwd: repository,
    preferLocal: true,
    quiet: true,
    nothrow: true,
    env: { ...process.env, NO_COLOR: '1' },
  });
  return {
    name,
    run: async () => {
      const { exitCode, stdout, stderr } = await run`${[command, ...args]}`;
      if (exitCode === 0) return [];
      const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
      return lines.length > 0 ? lines : [`${command} ended with ${exitCode}`];
    },
  };
}
