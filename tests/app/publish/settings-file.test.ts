import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadEnvironment } from '#environments/load.ts';
import { type ManifestSettings, writeSettings } from '#publish/settings-file.ts';

const shipped = readFileSync(new URL('../../../environments/local/environment.yaml', import.meta.url), 'utf8');
const everything: Required<ManifestSettings> = {
  runtime: 'kubernetes',
  domain: 'apps.studio.example.com',
  storageClass: 'fast',
  volumeSize: '20Gi',
  snapshotClass: 'snapshots',
  ingressClass: 'nginx',
  tlsSecret: 'wildcard-tls',
  pullSecret: 'registry-credentials',
  image: 'registry.example.com/devserver:1',
  affinity: false,
  policies: false,
};

/** What each place of the file became. */
const done = (changes: ReturnType<typeof writeSettings>['changes']) =>
  changes.map(({ path, before, after, byHand }) => [path, before, after, byHand]);

describe('the file that Plinth ships', () => {
  test('takes every setting, each with its name behind it', () => {
    const { text, changes } = writeSettings(shipped, everything);
    expect(text).toBe(`apiVersion: plinth.dev/v1
kind: Environment
runtime: kubernetes # set by DEPLOYMENT_MODE
domain: apps.studio.example.com # set by PROJECTS_DOMAIN or APP_DOMAIN
storage:
  class: fast # set by K8S_STORAGE_CLASS
  size: 20Gi # set by K8S_PVC_SIZE
  snapshotClass: snapshots # set by K8S_SNAPSHOT_CLASS
  affinity: false # set by K8S_ENABLE_POD_AFFINITY
ingress:
  class: nginx # set by K8S_INGRESS_CLASS
  tlsSecret: wildcard-tls # set by K8S_WILDCARD_TLS_SECRET
network:
  policies: false # set by K8S_ENABLE_NETWORK_POLICIES
image: registry.example.com/devserver:1 # set by K8S_DEVSERVER_IMAGE
pullSecret: registry-credentials # set by K8S_IMAGE_PULL_SECRET
`);
    expect(changes.length).toBe(11);
    expect(changes.filter(({ byHand }) => byHand)).toEqual([]);
    expect(loadEnvironment('local', text)).toMatchObject({
      runtime: 'kubernetes',
      domain: everything.domain,
      storage: { class: 'fast', size: '20Gi', snapshotClass: 'snapshots', affinity: false },
      ingress: { class: 'nginx', tlsSecret: 'wildcard-tls' },
      network: { policies: false },
      image: everything.image,
      pullSecret: 'registry-credentials',
    });
  });

  test('is as it was once they are gone', () => {
    const { text } = writeSettings(shipped, everything);
    expect(writeSettings(text, everything)).toEqual({ text, changes: [] });
    expect(writeSettings(text, {}).text).toBe(shipped);
    const { storageClass, ...others } = everything;
    const less = writeSettings(text, others);
    expect(done(less.changes)).toEqual([['storage.class', storageClass, undefined, false]]);
    expect(writeSettings(less.text, {}).text).toBe(shipped);
  });

  test('does not change for what is not set, is empty, or is there already', () => {
    for (const values of [{}, { storageClass: '', pullSecret: undefined }, { domain: 'apps.localhost' }])
      expect(writeSettings(shipped, values)).toEqual({ text: shipped, changes: [] });
  });
});

const written = `# Our own cluster.

apiVersion: plinth.dev/v1
kind: Environment
image: "node:1.10" # ask Ada
# Where people find us.
domain: apps.example.com

runtime: none
storage: { class: standard, size: 5Gi } # small
quota:
  # Enough for most.
  cpu: 4
  memory: 1.50Gi
ingress:
  namespace: edge
`;

describe('a file that a person wrote', () => {
  test('keeps its comments, its order and what no setting names', () => {
    const { text, changes } = writeSettings(written, { image: 'node:24', storageClass: 'fast', ingressClass: 'nginx' });
    expect(text).toBe(`# Our own cluster.

apiVersion: plinth.dev/v1
kind: Environment
image: node:24 # set by K8S_DEVSERVER_IMAGE; ask Ada
# Where people find us.
domain: apps.example.com

runtime: none
storage:
  class: fast # set by K8S_STORAGE_CLASS
  size: 5Gi
  # small
quota:
  # Enough for most.
  cpu: 4
  memory: 1.50Gi
ingress:
  namespace: edge
  class: nginx # set by K8S_INGRESS_CLASS
`);
    expect(done(changes)).toEqual([
      ['storage.class', 'standard', 'fast', true],
      ['ingress.class', undefined, 'nginx', false],
      ['image', 'node:1.10', 'node:24', true],
    ]);
  });

  test('a value that a person wrote over a setting’s is the setting’s again', () => {
    const { text } = writeSettings(shipped, { storageClass: 'fast' });
    const edited = text.replace('class: fast', 'class: slow');
    expect(done(writeSettings(edited, { storageClass: 'fast' }).changes)).toEqual([
      ['storage.class', 'slow', 'fast', false],
    ]);
    expect(writeSettings(edited, {}).text).toBe(shipped);
  });

  test('a value whose mark a person took away is that person’s', () => {
    const { text } = writeSettings(shipped, { storageClass: 'fast' });
    const owned = text.replace(' # set by K8S_STORAGE_CLASS', '');
    expect(writeSettings(owned, { storageClass: 'fast' })).toEqual({ text: owned, changes: [] });
    expect(writeSettings(owned, {})).toEqual({ text: owned, changes: [] });
    expect(done(writeSettings(owned, { storageClass: 'slow' }).changes)).toEqual([
      ['storage.class', 'fast', 'slow', true],
    ]);
  });

  test('the mark of another setting is no mark', () => {
    const text = `${shipped}image: node:24 # set by K8S_STORAGE_CLASS\n`;
    expect(writeSettings(text, {})).toEqual({ text, changes: [] });
  });

  test('values that look like something else stay what they are', () => {
    const { text } = writeSettings(shipped, { image: '1.10', storageClass: 'true', pullSecret: '0x10' });
    const { image, storage, pullSecret } = loadEnvironment('local', text);
    expect({ image, class: storage.class, pullSecret }).toEqual({ image: '1.10', class: 'true', pullSecret: '0x10' });
    expect(writeSettings(text, { image: '1.10', storageClass: 'true', pullSecret: '0x10' }).changes).toEqual([]);
    expect(writeSettings(`${shipped}image: 1.10\n`, { image: '1.10' }).changes).toEqual([]);
  });

  test('ends of lines stay as they are', () => {
    const windows = shipped.replaceAll('\n', '\r\n');
    const { text } = writeSettings(windows, everything);
    expect(text).toBe(writeSettings(shipped, everything).text.replaceAll('\n', '\r\n'));
    expect(writeSettings(text, {}).text).toBe(windows);
  });

  test('a place below an alias cannot be written to', () => {
    const text = `${shipped}quota: &same { cpu: "8" }\nresources: *same\nstorage: *same\n`;
    expect(() => writeSettings(text, { storageClass: 'fast' })).toThrow(/storage/);
  });
});

describe('any settings, in any file', () => {
  const golden = (name: string) =>
    readFileSync(new URL(`../../golden/${name}/environment.yaml`, import.meta.url), 'utf8');
  const files = [shipped, written, ...['baseline', 'gateway', 'local', 'open', 'production'].map(golden)];
  const name = fc.stringMatching(/^[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?$/);
  const settings = fc.record(
    {
      runtime: fc.constantFrom('kubernetes', 'none'),
      domain: fc.constantFrom('apps.example.org', 'p.example.com'),
      storageClass: name,
      volumeSize: fc.constantFrom('1Gi', '500Mi', '1.5Ti'),
      snapshotClass: name,
      ingressClass: name,
      tlsSecret: name,
      pullSecret: name,
      image: fc.constantFrom('node:24', '1.10', 'yes', 'registry.example.com:5000/a/b@sha256:00'),
      affinity: fc.boolean(),
      policies: fc.boolean(),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<ManifestSettings>;
  const places = {
    runtime: 'runtime',
    domain: 'domain',
    storageClass: 'storage.class',
    volumeSize: 'storage.size',
    snapshotClass: 'storage.snapshotClass',
    affinity: 'storage.affinity',
    ingressClass: 'ingress.class',
    tlsSecret: 'ingress.tlsSecret',
    policies: 'network.policies',
    image: 'image',
    pullSecret: 'pullSecret',
  };
  type Name = keyof typeof places;
  const at = (environment: unknown, name: Name): unknown =>
    places[name].split('.').reduce((inner, key) => (inner as Record<string, unknown>)[key], environment);
  const names = Object.keys(places) as Name[]; // keys of the table

  test('are read back as they were set, with everything else as it was', () => {
    fc.assert(
      fc.property(fc.constantFrom(...files), settings, (file, values) => {
        const { text } = writeSettings(file, values);
        const [before, after] = [loadEnvironment('local', file), loadEnvironment('local', text)];
        for (const name of names) expect(at(after, name)).toEqual(values[name] ?? at(before, name));
        const others = ({ apiVersion, kind, ingress, network, ...rest }: typeof before) => [
          ...[apiVersion, kind, rest.quota, rest.resources, rest.hosts, rest.next, rest.edge, rest.podSecurity],
          ...[ingress.namespace, ingress.gateway, ingress.auth, network.egress, network.deniedRanges, network.dns],
        ];
        expect(others(after)).toEqual(others(before));
        expect(writeSettings(text, values)).toEqual({ text, changes: [] });
        const comments = (all: string) => all.match(/# (?!set by).*$/gm) ?? [];
        for (const comment of comments(file)) expect(text).toContain(comment.slice(2));
      }),
      { numRuns: 200 },
    );
  });

  test('of the last start go when others come, to the default where no person had written the same', () => {
    const defaults = loadEnvironment('local', shipped);
    fc.assert(
      fc.property(fc.constantFrom(...files), settings, settings, (file, first, second) => {
        const before = loadEnvironment('local', file);
        const once = writeSettings(file, first);
        const after = loadEnvironment('local', writeSettings(once.text, second).text);
        for (const name of names) {
          const gone = once.changes.some(({ path }) => path === places[name]);
          expect(at(after, name)).toEqual(second[name] ?? at(gone ? defaults : before, name));
        }
      }),
      { numRuns: 200 },
    );
  });
});
