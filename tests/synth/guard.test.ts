import { describe, expect, test } from 'vitest';
import { loadEnvironment } from '#environments/load.ts';
import { guardFindings } from '#synth/guard.ts';
import { type Manifest, parseManifests, render } from '#synth/render.ts';
import { refused } from './guard-cases.ts';

const environment = loadEnvironment(
  'local',
  `apiVersion: plinth.dev/v1
kind: Environment
domain: apps.localhost
hosts: { atlas: [shop.example.com] }
pullSecret: registry
network: { egress: [{ cidr: 10.20.0.0/16, ports: [5432] }] }
`,
);
const key = { environment: 'local', team: 'atlas', project: 'shop' };
const { manifests } = render({
  environment,
  key,
  spec: `apiVersion: plinth.dev/v1
kind: Project
containers:
  web: { image: "a:1", port: 8080, route: /, dependsOn: [db], autoscale: { max: 3 }, files: { /etc/x: text } }
  keeper: { image: "a:1", mounts: { /data: data } }
services: { db: postgres }
volumes: { data: 1Gi }
jobs:
  once: { image: "a:1" }
  often: { image: "a:1", schedule: "* * * * *" }
network: { egress: [{ cidr: 10.20.1.0/24 }] }
`,
});

/** What the guard says when one object is changed at one path; `undefined` removes what is there. */
function findingsAfter(target: string, path: string, value: unknown): string[] {
  const objects = parseManifests(manifests);
  const object = objects.find(({ kind, metadata }) => `${kind} ${metadata.name}`.startsWith(target));
  if (object === undefined) throw new Error(`there is no ${target}`);
  set(object, path.split('|'), value);
  return guardFindings(objects, environment, key).map(({ path: at, message }) => `${at}: ${message}`);
}

function set(object: object, [first, ...rest]: readonly string[], value: unknown): void {
  const map = object as Record<string, unknown>;
  if (first === undefined) return;
  if (rest.length === 0) {
    if (value === undefined) delete map[first];
    else map[first] = value;
    return;
  }
  map[first] ??= {};
  set(map[first] as object, rest, value);
}

describe('the guard', () => {
  test('has nothing to say about what synthesis makes', () => {
    expect(guardFindings(parseManifests(manifests), environment, key)).toEqual([]);
  });

  for (const [target, path, value, finding] of refused)
    test(`refuses ${target} with ${path.split('|').at(-1)} ${JSON.stringify(value)}`, () => {
      const findings = findingsAfter(target, path, value);
      expect(findings.filter((each) => each.startsWith(finding))).toHaveLength(1);
    });

  test('misses each guard that is not there', () => {
    const without = (kind: string) => parseManifests(manifests).filter((object: Manifest) => object.kind !== kind);
    const messages = (kind: string) => guardFindings(without(kind), environment, key).map(({ message }) => message);
    for (const kind of ['Namespace', 'ResourceQuota', 'LimitRange', 'ServiceAccount'])
      expect(messages(kind)).toContain(`there must be exactly one ${kind}`);
    expect(messages('NetworkPolicy')).toEqual([
      'there must be a NetworkPolicy that denies everything by default, both ways',
    ]);
  });

  test('takes custom hosts of the team and own container hosts', () => {
    for (const host of ['shop.example.com', 'shop--atlas--web.apps.localhost'])
      expect(findingsAfter('Ingress web', 'spec|rules|0|host', host)).toEqual([]);
  });

  test('an object that stands twice is seen', () => {
    const objects = parseManifests(manifests);
    const messages = guardFindings([...objects, objects.at(-1)!], environment, key).map(({ message }) => message);
    expect(messages).toEqual(['networking.k8s.io/v1 Ingress web stands twice']);
  });
});
