import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from 'vitest';
import { describeWithCluster, type SharedCluster } from './cluster.ts';
import { type Answer, type ControlPlane, startControlPlane } from './control-plane.ts';
import { cloneState, type StateClone } from './state-clone.ts';
import { useTemporaryDirectory } from './temporary.ts';

/** One control plane of a file's own over the run's shared cluster. Its fields are there in hooks and tests only. */
export interface Walk {
  readonly plinth: ControlPlane;
  readonly cluster: SharedCluster;
  /** A folder for this file alone; the control plane's data is in `data` below it. */
  readonly directory: string;
  /** Starts the control plane (again), on the same data. */
  start(): Promise<ControlPlane>;
  /** A new clone of the state repository. */
  clone(): Promise<StateClone>;
}

/** The smallest spec that is served. */
export const smallest = `apiVersion: plinth.dev/v1
kind: Project
containers:
  web: { image: "nginxinc/nginx-unprivileged:1.29", port: 8080, route: / }
`;

/** A suite that walks through the whole house: a real process, a real cluster, a real git client. */
export function describeWalk(
  name: string,
  tests: (walk: Walk) => void,
  settings: Readonly<Record<string, string>> = {},
): void {
  describeWithCluster(name, (cluster) => {
    const directory = useTemporaryDirectory('plinth-walk');
    let plinth: ControlPlane | undefined;
    let clones = 0;
    const walk: Walk = {
      get plinth() {
        if (plinth === undefined) throw new Error('the control plane is there in hooks and tests only');
        return plinth;
      },
      get cluster() {
        return cluster();
      },
      directory,
      start: async () => {
        plinth = await startControlPlane({
          dataDirectory: join(directory, 'data'),
          environment: { KUBECONFIG: cluster().kubeconfig, ...settings },
        });
        return plinth;
      },
      clone: () => {
        clones += 1;
        return cloneState(walk.plinth, join(directory, `clone-${clones}`));
      },
    };
    beforeAll(async () => {
      await walk.start();
    });
    afterAll(async () => {
      await plinth?.stop();
    });
    tests(walk);
  });
}

/** The path of a project's API in the environment `local`. */
export const projectPath = (name: string): string => `/api/v1/environments/local/projects/${name}`;

/** Waits until an accepted change has ended. */
export async function endOf(plinth: ControlPlane, accepted: Answer): Promise<Answer['body']> {
  expect(accepted.status, accepted.text).toBe(202);
  return (await plinth.request('GET', `/api/v1/changes/${accepted.body.id}?wait=20`)).body;
}

/** PUTs a spec and waits until it is committed. */
export async function put(plinth: ControlPlane, name: string, spec: unknown): Promise<Answer['body']> {
  const change = await endOf(plinth, await plinth.request('PUT', projectPath(name), spec));
  expect(change, JSON.stringify(change)).toMatchObject({ state: 'committed' });
  return change;
}

/** PUTs a spec and waits until all of it runs. */
export async function run(plinth: ControlPlane, name: string, spec: unknown): Promise<Answer['body']> {
  const { revision } = await put(plinth, name, spec);
  return await plinth.until(
    projectPath(name),
    (body) => body.appliedRevision === revision && body.phase === 'applied' && body.health === 'healthy',
  );
}

/** Asks again until the answer is as wanted, and gives it. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => unknown,
  limitMs = 45_000,
): Promise<T> {
  for (const end = Date.now() + limitMs; ; await sleep(15)) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > end) throw new Error(`not as wanted after ${limitMs} ms: ${JSON.stringify(answer)}`);
  }
}
