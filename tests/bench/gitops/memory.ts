import { setTimeout as sleep } from 'node:timers/promises';
import { objectsEach, type Scale } from './scale.ts';

export interface Memory {
  readonly objects: number;
  /** Bytes of the whole process, idle. */
  readonly resident: number;
  readonly heap: number;
}

/** What the process occupies once nothing has happened for a while. */
export async function readMemory(scale: Scale, quietMs: number): Promise<Memory> {
  const plane = scale.plane();
  await plane.settled();
  await sleep(quietMs);
  const resident = plane.resident();
  const { heapUsed } = await plane.state();
  return { objects: scale.projects().length * objectsEach, resident, heap: heapUsed };
}

export const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
