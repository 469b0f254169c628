import type { Secret } from '#base/secret.ts';
import type { LiveObject, ObjectKey } from '../runtime.ts';
import { at, textOf } from './fields.ts';
import { healthOf } from './health.ts';
import { liveObject } from './live.ts';
import { type Kinds, kindText, type Resource } from './resources.ts';
import { type Trouble, troubleOf, withTroubles } from './trouble.ts';

/** Takes what one kind's watch says. A complete listing stands between `begin` and `end`; what it lacks is forgotten. */
export interface Sink {
  begin(): void;
  put(object: unknown): void;
  remove(object: unknown): void;
  end(): void;
  /** The watch has shown everything up to this resource version. */
  reached(resourceVersion: string): void;
}

/** What is known of the cluster's objects, from memory. */
export interface Index {
  find(key: ObjectKey): LiveObject | undefined;
  observed(namespace: string): readonly LiveObject[];
  /** What is kept of an object, from its body. */
  read(kind: Pick<ObjectKey, 'apiVersion' | 'kind'>, body: unknown): LiveObject;
  /**
   * An apply of ours begins: what the watch shows of the object until it ends is most likely our own echo, so it is no
   * news before it was compared with the answer.
   */
  flight(key: ObjectKey): Flight;
  objects(resource: Resource): Sink;
  pods(): Sink;
  storageClasses(): Sink;
}

export interface Flight {
  /** The API server's answer; known at once, not only when the watch shows it. */
  answered(live: LiveObject, body: unknown): void;
  /** Always called, last. */
  end(): void;
}

interface Entry {
  live: LiveObject;
  /** The few fields that a pending claim's health is read from: it changes with its storage class. */
  claim: unknown;
}

/** How far one kind's watch has come. */
interface Progress {
  newest: string;
  /** Objects seen since a complete listing began; undefined outside of one. */
  listed: Map<Entry, 'applied' | 'shown'> | undefined;
}

/** Decimal counters of any length, compared without becoming numbers. */
export const isNewer = (a: string, b: string) => a.length > b.length || (a.length === b.length && a > b);

const flightName = (key: ObjectKey) => `${home(key)}/${kindText(key)}/${key.name}`;
/** A Namespace is filed with the objects inside it. */
const home = ({ kind, namespace, name }: ObjectKey) => (kind === 'Namespace' ? name : namespace);

/** Keeps, per object, a key, uid, version, digest and health; per pod, only what is wrong with it. */
export function createIndex(
  changed: (namespace: string) => void,
  digestKey?: Secret<Buffer>,
  ruleOf: Kinds['ruleOf'] = () => undefined,
): Index {
  const spaces: Spaces = new Map();
  const troubles = new Map<string, Map<string, Trouble>>();
  const modes = new Map<string, string>();
  const progress = new Map<string, Progress>();
  const flights = new Map<string, { count: number; muted: boolean }>();
  const slimmed = createSlimming();

  const progressOf = (kind: string) => {
    const known = progress.get(kind) ?? { newest: '', listed: undefined };
    progress.set(kind, known);
    return known;
  };
  const read: Index['read'] = (kind, body) => liveObject(kind, body, modes, digestKey, ruleOf(kind));
  const entryOf = (key: ObjectKey) => spaces.get(home(key))?.find(isAt(key));

  const store = (live: LiveObject, body: unknown, from: 'applied' | 'shown') => {
    const space = spaces.get(home(live.key)) ?? [];
    if (space.length === 0) spaces.set(home(live.key), space);
    const known = space.find(isAt(live.key));
    const news = known === undefined || differs(known.live, live);
    const entry = known ?? { live, claim: undefined };
    if (known === undefined) space.push(entry);
    entry.live = slimmed(live, known?.live ?? space[0]?.live);
    entry.claim =
      live.key.kind === 'PersistentVolumeClaim' && at(body, 'status', 'phase') !== 'Bound' ? slim(body) : undefined;
    progressOf(kindText(live.key)).listed?.set(entry, from);
    if (news && from === 'shown') tell(live.key);
  };

  const tell = (key: ObjectKey) => {
    const flight = flights.get(flightName(key));
    if (flight === undefined) changed(home(key));
    else flight.muted = true;
  };

  const forget = (key: ObjectKey) => {
    const space = spaces.get(home(key));
    const at = space?.findIndex(isAt(key)) ?? -1;
    if (space === undefined || at === -1) return;
    space.splice(at, 1);
    if (space.length === 0) spaces.delete(home(key));
    tell(key);
  };

  const flight = (key: ObjectKey): Flight => {
    const name = flightName(key);
    const mine = flights.get(name) ?? { count: 0, muted: false };
    mine.count += 1;
    flights.set(name, mine);
    let answer: LiveObject | undefined;
    return {
      answered: (live, body) => {
        answer = live;
        const before = entryOf(key)?.live;
        const { newest } = progressOf(kindText(key));
        // An answer that the watch has overtaken says nothing: the object has changed, or is gone already.
        const overtaken =
          before === undefined
            ? !isNewer(live.resourceVersion, newest)
            : isNewer(before.resourceVersion, live.resourceVersion);
        if (!overtaken) store(live, body, 'applied');
      },
      end: () => {
        mine.count -= 1;
        if (mine.count === 0) flights.delete(name);
        const now = entryOf(key)?.live;
        const outdated = answer === undefined ? mine.muted : now === undefined || differs(answer, now);
        if (outdated) changed(home(key));
      },
    };
  };

  return {
    find: (key) => entryOf(key)?.live,
    observed: (namespace) => {
      const unwell = [...(troubles.get(namespace)?.values() ?? [])];
      return (spaces.get(namespace) ?? []).map(({ live }) => withPods(live, unwell));
    },
    read,
    flight,
    objects: (resource) =>
      objectSink({ resource, progress: progressOf(kindText(resource)), read, spaces, entryOf, store, forget }),
    pods: () => podSink(troubles, changed),
    storageClasses: () => classSink(modes, spaces, changed),
  };
}

/** The objects of each namespace: few, so a list is smaller than a map and as fast. */
type Spaces = Map<string, Entry[]>;

const isAt =
  ({ apiVersion, kind, name }: ObjectKey) =>
  ({ live: { key } }: Entry) =>
    key.name === name && key.kind === kind && key.apiVersion === apiVersion;

const healthy: LiveObject['health'] = { state: 'healthy', reason: '' };

/**
 * Makes copies that share what they can: the key of the same object before, the namespace of a neighbour, the texts
 * that all objects have alike. Each object of JSON brings its own copy of every text.
 */
function createSlimming(): (live: LiveObject, other: LiveObject | undefined) => LiveObject {
  let installation: string | undefined;
  return (live, other) => {
    if (live.installation !== installation) installation = live.installation;
    const isSame =
      other !== undefined && kindText(other.key) === kindText(live.key) && other.key.name === live.key.name;
    const namespace = other?.key.namespace === live.key.namespace ? other.key.namespace : live.key.namespace;
    return {
      ...live,
      key: isSame ? other.key : { ...live.key, namespace },
      health: live.health.state === 'healthy' && live.health.reason === '' ? healthy : live.health,
      installation,
    };
  };
}

interface ObjectDoors {
  readonly resource: Resource;
  readonly progress: Progress;
  readonly read: Index['read'];
  readonly spaces: Spaces;
  entryOf(key: ObjectKey): Entry | undefined;
  store(live: LiveObject, body: unknown, from: 'shown'): void;
  forget(key: ObjectKey): void;
}

function objectSink({ resource, progress, read, spaces, entryOf, store, forget }: ObjectDoors): Sink {
  const reached = (version: string) => {
    if (isNewer(version, progress.newest)) progress.newest = version;
  };
  const isKnown = (object: unknown): boolean => {
    const metadata = at(object, 'metadata');
    const version = textOf(at(metadata, 'resourceVersion'));
    const [namespace, name] = [textOf(at(metadata, 'namespace')), textOf(at(metadata, 'name'))];
    const known = entryOf({ apiVersion: resource.apiVersion, kind: resource.kind, namespace, name })?.live;
    if (known?.resourceVersion !== version || known.uid !== textOf(at(metadata, 'uid'))) return false;
    reached(version);
    return true;
  };
  return {
    begin: () => {
      progress.listed = new Map();
      progress.newest = '';
    },
    put: (object) => {
      // Mostly our own echo: what an answer said already is not digested once more.
      if (progress.listed === undefined && isKnown(object)) return;
      const live = read(resource, object);
      reached(live.resourceVersion);
      const known = entryOf(live.key);
      const late = known !== undefined && isNewer(known.live.resourceVersion, live.resourceVersion);
      // In a listing only our own newer answer outdates what it shows: after a restore, versions begin again lower.
      if (late && (progress.listed === undefined || progress.listed.get(known) === 'applied')) return;
      store(live, object, 'shown');
    },
    remove: (object) => {
      const live = read(resource, object);
      reached(live.resourceVersion);
      const known = entryOf(live.key);
      if (known !== undefined && !isNewer(known.live.resourceVersion, live.resourceVersion)) forget(live.key);
    },
    end: () => {
      const { listed } = progress;
      progress.listed = undefined;
      if (listed === undefined) return;
      for (const space of [...spaces.values()])
        for (const entry of [...space])
          if (kindText(entry.live.key) === kindText(resource) && !listed.has(entry)) forget(entry.live.key);
    },
    reached,
  };
}

function podSink(troubles: Map<string, Map<string, Trouble>>, changed: (namespace: string) => void): Sink {
  let listed: Set<string> | undefined;
  const forget = (namespace: string, name: string) => {
    const pods = troubles.get(namespace);
    if (pods?.delete(name) !== true) return;
    if (pods.size === 0) troubles.delete(namespace);
    changed(namespace);
  };
  const placeOf = (pod: unknown): readonly [string, string] => [
    textOf(at(pod, 'metadata', 'namespace')),
    textOf(at(pod, 'metadata', 'name')),
  ];
  return {
    begin: () => {
      listed = new Set();
    },
    put: (pod) => {
      const [namespace, name] = placeOf(pod);
      listed?.add(`${namespace}/${name}`);
      const trouble = troubleOf(pod);
      if (trouble === undefined) {
        forget(namespace, name);
        return;
      }
      const pods = troubles.get(namespace) ?? new Map<string, Trouble>();
      troubles.set(namespace, pods);
      const before = pods.get(name);
      pods.set(name, trouble);
      if (before?.reason !== trouble.reason || before.state !== trouble.state) changed(namespace);
    },
    remove: (pod) => forget(...placeOf(pod)),
    end: () => {
      for (const [namespace, pods] of [...troubles])
        for (const name of [...pods.keys()]) if (listed?.has(`${namespace}/${name}`) === false) forget(namespace, name);
      listed = undefined;
    },
    reached: () => {},
  };
}

/** A claim may be known before its class is; it is looked at again when classes change. */
function classSink(modes: Map<string, string>, spaces: Spaces, changed: (namespace: string) => void): Sink {
  let listed: Set<string> | undefined;
  const review = () => {
    if (listed !== undefined) return;
    for (const [namespace, space] of spaces)
      for (const entry of space) {
        if (entry.claim === undefined) continue;
        const health = healthOf(entry.live.key.kind, entry.claim, modes);
        if (health.state === entry.live.health.state && health.reason === entry.live.health.reason) continue;
        entry.live = { ...entry.live, health };
        changed(namespace);
      }
  };
  return {
    begin: () => {
      listed = new Set();
    },
    put: (object) => {
      const name = textOf(at(object, 'metadata', 'name'));
      listed?.add(name);
      modes.set(name, textOf(at(object, 'volumeBindingMode')));
      review();
    },
    remove: (object) => {
      modes.delete(textOf(at(object, 'metadata', 'name')));
      review();
    },
    end: () => {
      for (const name of [...modes.keys()]) if (listed?.has(name) === false) modes.delete(name);
      listed = undefined;
      review();
    },
    reached: () => {},
  };
}

function withPods(live: LiveObject, unwell: readonly Trouble[]): LiveObject {
  if (unwell.length === 0) return live;
  const { kind, name } = live.key;
  const own = unwell.filter(({ owners }) => owners.some((owner) => owner.kind === kind && owner.name === name));
  return own.length === 0 ? live : { ...live, health: withTroubles(kind, live.health, own) };
}

function slim(claim: unknown): unknown {
  return {
    metadata: {
      deletionTimestamp: at(claim, 'metadata', 'deletionTimestamp'),
      annotations: at(claim, 'metadata', 'annotations'),
    },
    spec: { storageClassName: at(claim, 'spec', 'storageClassName'), volumeName: at(claim, 'spec', 'volumeName') },
    status: { phase: at(claim, 'status', 'phase') },
  };
}

/** True when something changed that a reconcile would act on; the version alone is no such thing. */
function differs(before: LiveObject, after: LiveObject): boolean {
  return (
    before.uid !== after.uid ||
    before.ownedDigest !== after.ownedDigest ||
    before.health.state !== after.health.state ||
    before.health.reason !== after.health.reason ||
    before.deleting !== after.deleting ||
    before.installation !== after.installation
  );
}
