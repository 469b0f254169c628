import { expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { readManifests, secretNames, toDesired, withValue } from '#reconcile/decide/desired.ts';

const manifests = `# Written by Plinth
---
apiVersion: v1
kind: Secret
metadata:
  name: api-key
  namespace: local--shop--web
  annotations: { plinth.dev/secret: project/api-key, plinth.dev/secret-key: token }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: local--shop--web, annotations: { plinth.dev/depends-on: "db, cache" } }
spec: { template: { metadata: { annotations: { plinth.dev/uses-secrets: api-key, own: "1" } }, spec: {} } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: idle, namespace: local--shop--web }
spec: { template: { metadata: {}, spec: {} } }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly, namespace: local--shop--web }
spec: { jobTemplate: { spec: { template: { metadata: { annotations: { plinth.dev/uses-secrets: api-key } } } } } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: once-1a2b, namespace: local--shop--web }
spec: { template: { metadata: { annotations: { plinth.dev/uses-secrets: api-key } } } }
`;
const objects = readManifests(manifests);
const desiredAt = (version: string) => toDesired(objects, new Map([['api-key', version]]));
const digests = (version: string) =>
  new Map(desiredAt(version).map(({ key, digest }) => [`${key.kind} ${key.name}`, digest]));

test('a rotation changes the secret and what uses it, and nothing else', () => {
  const [before, after] = [digests('1'), digests('2')];
  expect([...before].filter(([name, digest]) => after.get(name) !== digest).map(([name]) => name)).toEqual([
    'Secret api-key',
    'Deployment web',
    'CronJob nightly',
  ]);
  expect(digests('1')).toEqual(before);
});

test('of several secrets, each rotation reaches exactly those who use one of them', () => {
  const secrets = ['a', 'b', 'c'];
  const users: Readonly<Record<string, readonly string[]>> = { one: ['a'], two: ['a', 'b'], three: ['c'], none: [] };
  const several = readManifests(
    [
      ...secrets.map((name) => ({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, annotations: { 'plinth.dev/secret': `project/${name}` } },
      })),
      ...Object.entries(users).map(([name, uses]) => ({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name },
        spec: { template: { metadata: { annotations: { 'plinth.dev/uses-secrets': uses.join(', ') } } } },
      })),
    ]
      .map((object) => JSON.stringify(object))
      .join('\n---\n'),
  );
  const digestsAt = (rotated: readonly string[]) => {
    const versions = new Map(secrets.map((name) => [name, rotated.includes(name) ? `${name}@2` : `${name}@1`]));
    return new Map(toDesired(several, versions).map(({ key, digest }) => [`${key.kind} ${key.name}`, digest]));
  };
  const before = digestsAt([]);
  for (let some = 0; some < 2 ** secrets.length; some++) {
    const rotated = secrets.filter((_, index) => some & (1 << index));
    const changed = [...digestsAt(rotated)].filter(([name, digest]) => before.get(name) !== digest);
    const expected = [
      ...rotated.map((name) => `Secret ${name}`),
      ...Object.keys(users).flatMap((name) =>
        users[name]?.some((one) => rotated.includes(one)) ? [`Deployment ${name}`] : [],
      ),
    ];
    expect(changed.map(([name]) => name)).toEqual(expected);
  }
});

test('a pod template carries the digest of its secrets’ versions beside what stood there', () => {
  const template = (version: string) => {
    const spec = desiredAt(version).find(({ key }) => key.name === 'web')?.object.spec as {
      template: { metadata: { annotations: Record<string, string> } };
    };
    return spec.template.metadata.annotations;
  };
  expect(template('1')).toMatchObject({
    own: '1',
    'plinth.dev/secret-versions': expect.stringMatching(/^[0-9a-f]{16}$/),
  });
  expect(template('2')['plinth.dev/secret-versions']).not.toBe(template('1')['plinth.dev/secret-versions']);
});

test('names, dependencies and the key of a value are read from what synth wrote', () => {
  expect(secretNames(objects)).toEqual(['api-key']);
  expect(desiredAt('1').map(({ dependsOn }) => dependsOn)).toEqual([[], ['db', 'cache'], [], [], []]);
});

test('the value goes in for the apply only', () => {
  const [secret] = desiredAt('1');
  const values = new Map([['api-key', { value: new Secret('hunter2'), version: '1' }]]);
  expect(withValue(secret!, values)).toMatchObject({ data: { token: Buffer.from('hunter2').toString('base64') } });
  expect(JSON.stringify(secret)).not.toContain('hunter2');
  expect(() => withValue(secret!, new Map())).toThrow(/api-key/);
});

test('what is no object is refused', () => {
  expect(() => readManifests('kind: Deployment\n')).toThrow(/has no kind and name/);
  expect(() => readManifests('just text\n')).toThrow(/has no kind and name/);
  expect(readManifests('---\n# nothing\n')).toEqual([]);
});
