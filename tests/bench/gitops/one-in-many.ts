import { setTimeout as sleep } from 'node:timers/promises';
import type { ProjectKey } from '#environments/layout.ts';
import { commitProjects } from '../stand/projects.ts';
import { imageOf, isDeploymentOf, type Scale, specWith } from './scale.ts';

export interface OneInMany {
  readonly projects: number;
  /** Milliseconds from before the commit until the Deployment has its new image. */
  readonly times: readonly number[];
  /** The same commit and the same request, by nobody but the bench. */
  readonly bound: readonly number[];
  /** Of the controller and its git, for each change. */
  readonly processorMs: number;
  readonly calls: number;
}

const warmUps = 5;
/** So long the system does nothing before each change. */
const idleMs = 30;
let made = 0;

/** Changes one project after the other, the system idle before each. */
export async function changeOneInMany(scale: Scale, count: number): Promise<OneInMany> {
  const keys = scale.projects();
  const keyAt = (index: number) => keys[(index * 7919) % keys.length]!; // there is at least one
  const plane = scale.plane();
  for (let index = 0; index < warmUps; index++) await timeChange(scale, keyAt(index), () => plane.moved());
  await plane.settled();

  const before = { ...(await plane.state()), all: plane.processorMs() };
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    times.push(await timeChange(scale, keyAt(index + warmUps), () => plane.moved()));
    await sleep(idleMs);
  }
  await plane.settled();
  const after = { ...(await plane.state()), all: plane.processorMs() };

  const bound: number[] = [];
  for (let index = -warmUps; index < count; index++) {
    const { key } = scale.bare[(index + warmUps) % scale.bare.length]!; // there are some
    const time = await timeChange(scale, key, async (project) => {
      for (const object of project.objects.filter(({ kind }) => kind === 'Deployment')) await scale.applyBare(object);
    });
    if (index >= 0) bound.push(time);
    await sleep(idleMs);
  }
  return {
    projects: keys.length,
    times,
    bound,
    processorMs: (after.all - before.all) / count,
    calls: (sum(after.calls) - sum(before.calls)) / count,
  };
}

async function timeChange(
  scale: Scale,
  key: ProjectKey,
  act: (project: ReturnType<Scale['project']>) => Promise<unknown>,
): Promise<number> {
  made += 1;
  const project = scale.project(key, specWith(`changed-${made}`));
  const isOurs = isDeploymentOf(key);
  const applied = scale.watch().next(({ object }) => isOurs(object) && imageOf(object).endsWith(`:changed-${made}`));
  const begin = performance.now();
  await commitProjects(scale.stores, [project]);
  await act(project);
  return (await applied).atMs - begin;
}

/** Watches that are opened anew now and then are no part of a change. */
const sum = (calls: Readonly<Record<string, number>>): number =>
  Object.entries(calls).reduce((all, [verb, count]) => (verb === 'watch' ? all : all + count), 0);
