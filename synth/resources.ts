import type { Resources } from './plan.ts';
import { larger } from './quantity.ts';

/** A request above the standard limit raises the limit with it: one number is enough to ask for more. */
export function resourcesOf(said: Partial<Resources>, standard: Resources): Resources {
  const cpu = said.cpu ?? (said.cpuLimit === undefined ? standard.cpu : smaller(standard.cpu, said.cpuLimit));
  const memory =
    said.memory ?? (said.memoryLimit === undefined ? standard.memory : smaller(standard.memory, said.memoryLimit));
  return {
    cpu,
    memory,
    cpuLimit: said.cpuLimit ?? larger(standard.cpuLimit, cpu),
    memoryLimit: said.memoryLimit ?? larger(standard.memoryLimit, memory),
  };
}

const smaller = (a: string, b: string) => (larger(b, a) === b ? a : b);
