import { type RequestFault, requestFaults, type WatchFault, watchFaults } from '#support/fault-proxy.ts';
import { type Random, randomFrom } from '../stand/random.ts';
import { type Contents, isPreciousName, objectNames } from './objects.ts';

/** What happens at one moment of a schedule, to the project of that number. */
export type Action =
  /** A commit: the whole contents of the project from then on; undefined: its folder is gone. */
  | { readonly kind: 'commit'; readonly contents: Contents | undefined; readonly told: boolean }
  /** Another hand changes a field, takes our label away, or deletes the object. */
  | { readonly kind: 'edit' | 'unlabel' | 'delete'; readonly name: string }
  /** Another hand puts an object of its own in the place of one that is not wanted any more. */
  | { readonly kind: 'usurp'; readonly name: string }
  /** The controller ends and begins again, on the same records. */
  | { readonly kind: 'restart' };

export interface Step {
  readonly atMs: number;
  readonly project: number;
  readonly action: Action;
}

/** A seeded run of bad luck. */
export interface Schedule {
  readonly projects: readonly Contents[];
  readonly steps: readonly Step[];
  /** The share of each fault while it lasts. */
  readonly requests: Readonly<Partial<Record<RequestFault, number>>>;
  readonly watches: Readonly<Partial<Record<WatchFault, number>>>;
  /** Lists lie: what they lack is found again only when the API server makes everybody list anew. */
  readonly lies: boolean;
  /** The controller begins when the weather is bad already. */
  readonly bornInStorm: boolean;
  /** When the weather clears. */
  readonly endMs: number;
}

/** The same seed gives the same schedule. */
export function scheduleOf(seed: number): Schedule {
  const random = randomFrom(seed);
  const count = 2 + random.below(2);
  const projects = Array.from({ length: count }, () => someObjects(random));
  const endMs = random.chance(0.1) ? random.between(3000, 6000) : random.between(600, 2500);
  const steps = stepsOf(random, projects, endMs);
  const requests = shares(random, requestFaults, random.between(0.05, 0.6));
  const watches = shares(random, watchFaults, random.between(0.1, 0.8));
  const lies = requests.shortList !== undefined || watches.shortWatch !== undefined;
  return { projects, steps, requests, watches, lies, bornInStorm: random.chance(0.5), endMs };
}

const someObjects = (random: Random): Contents =>
  new Map(random.some(objectNames, 5 + random.below(objectNames.length - 4)).map((name) => [name, 1]));

/** A few kinds of faults with all in all this share. */
function shares<Name extends string>(random: Random, names: readonly Name[], total: number) {
  const chosen = random.some(names, 1 + random.below(6));
  const weights = chosen.map(() => random.between(0.2, 1));
  const sum = weights.reduce((all, one) => all + one, 0);
  const entries = chosen.map((name, index) => [name, (total * (weights[index] ?? 0)) / sum] as const);
  return Object.fromEntries(entries) as Partial<Record<Name, number>>; // its keys are the chosen names
}

/** What the plan of a project knows while it is made. */
interface Planned {
  contents: Contents;
  gone: boolean;
  /** Objects that somebody else has taken over: never wanted again. */
  readonly usurped: Set<string>;
  /**
   * Objects that were out of Git once, and those whose label was taken away: never the same one. Without label and
   * while nobody wants it an object is let go, and then it is not ours any more.
   */
  readonly left: Set<string>;
  readonly unlabelled: Set<string>;
}

function stepsOf(random: Random, projects: readonly Contents[], endMs: number): readonly Step[] {
  const planned = projects.map(
    (contents): Planned => ({
      contents,
      gone: false,
      usurped: new Set(),
      left: new Set(),
      unlabelled: new Set(),
    }),
  );
  const moments = Array.from({ length: 4 + random.below(7) }, () => random.next() * endMs * 0.95).toSorted(
    (a, b) => a - b,
  );
  let version = 1;
  return moments.flatMap((atMs) => {
    const project = random.below(projects.length);
    version += 1;
    const action = actionOf(random, planned[project] as Planned, version); // the index is within
    return action === undefined ? [] : [{ atMs, project, action }];
  });
}

function actionOf(random: Random, planned: Planned, version: number): Action | undefined {
  const told = random.chance(0.8);
  const names = [...planned.contents.keys()];
  const commit = (contents: Contents): Action => {
    planned.contents = contents;
    return { kind: 'commit', contents, told };
  };
  if (planned.gone) {
    if (!random.chance(0.8)) return undefined;
    planned.gone = false;
    return commit(new Map(names.map((name) => [name, version])));
  }
  const luck = random.next();
  if (luck < 0.2) return commit(changed(planned.contents, random.some(names, 3), version));
  if (luck < 0.4) {
    const out = new Set(
      random.some(
        names.filter((name) => !planned.unlabelled.has(name)),
        2,
      ),
    );
    for (const name of out) planned.left.add(name);
    return commit(new Map([...planned.contents].filter(([name]) => !out.has(name))));
  }
  if (luck < 0.55) {
    const missing = objectNames.filter((name) => !planned.contents.has(name) && !planned.usurped.has(name));
    return commit(changed(planned.contents, random.some(missing, 3), version));
  }
  if (luck < 0.62 && planned.unlabelled.size === 0) {
    planned.gone = true;
    for (const name of objectNames) planned.left.add(name);
    return { kind: 'commit', contents: undefined, told };
  }
  if (luck < 0.67) return { kind: 'restart' };
  if (luck < 0.72) {
    const free = objectNames.filter((name) => name.startsWith('ConfigMap/') && !planned.contents.has(name));
    const name = free[0];
    if (name === undefined) return undefined;
    planned.usurped.add(name);
    return { kind: 'usurp', name };
  }
  const kind = random.pick(['edit', 'edit', 'unlabel', 'delete'] as const);
  const plain = names.filter((name) => !isPreciousName(name) && !(kind === 'unlabel' && planned.left.has(name)));
  if (plain.length === 0) return undefined;
  const name = random.pick(plain);
  if (kind === 'unlabel') planned.unlabelled.add(name);
  return { kind, name };
}

const changed = (contents: Contents, names: readonly string[], version: number): Contents =>
  new Map([...contents, ...names.map((name) => [name, version] as const)]);
