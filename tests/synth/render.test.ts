import { describe, expect, test } from 'vitest';
import { formatFinding } from '#environments/finding.ts';
import { loadEnvironment } from '#environments/load.ts';
import { catalogue, type ServiceKind } from '#synth/catalogue.ts';
import { dig, digList, digMap } from '#synth/dig.ts';
import { loadProject } from '#synth/project.ts';
import { digestOf, type Manifest, parseManifests, render, rendererVersion } from '#synth/render.ts';

const environmentText = 'apiVersion: plinth.dev/v1\nkind: Environment\ndomain: apps.localhost\n';
const environment = loadEnvironment('local', environmentText);
const key = { environment: 'local', team: 'atlas', project: 'shop' };
const head = 'apiVersion: plinth.dev/v1\nkind: Project\n';

const renderOf = (body: string, more = '') =>
  render({
    environment: more === '' ? environment : loadEnvironment('local', environmentText + more),
    key,
    spec: head + body,
  });

function objectOf(manifests: string, kind: string, name: string): Manifest {
  const found = parseManifests(manifests).find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
}

/** Variables of a pod: name → value, or `secret:<name>`. */
function variablesOf(object: Manifest): Record<string, string> {
  const path =
    object.kind === 'CronJob'
      ? 'spec.jobTemplate.spec.template.spec.containers.0.env'
      : 'spec.template.spec.containers.0.env';
  return Object.fromEntries(
    digList(object, path).map((each) => {
      const { name, value } = each as { name: string; value?: string };
      return [name, value ?? `secret:${String(dig(each, 'valueFrom.secretKeyRef.name'))}`];
    }),
  );
}

const own = { PLINTH_CONTAINER: 'web', PLINTH_ENVIRONMENT: 'local', PLINTH_PROJECT: 'shop', PLINTH_TEAM: 'atlas' };

describe('what render tells beside the manifests', () => {
  const rendered = renderOf(
    `containers:
  web: { image: "a:1", port: 80, route: /, secrets: [api-key], dependsOn: [db], mounts: { /d: data } }
  api: { image: "a:1", port: 81, route: { host: container } }
services: { db: { kind: postgres, claim: main } }
volumes: { data: 1Gi }
`,
    'pullSecret: registry\n',
  );

  test('namespace, hosts, volumes, secrets', () => {
    expect(rendered.namespace).toBe('local--atlas--shop');
    expect(rendered.hosts).toEqual(['shop--atlas--api.apps.localhost', 'shop--atlas.apps.localhost']);
    expect(rendered.volumes).toEqual([
      { claim: 'data', name: 'data' },
      { claim: 'main', name: 'db' },
    ]);
    expect(rendered.secrets).toEqual([
      { name: 'api-key', generated: false, scope: 'project' },
      { name: 'main-password', generated: true, length: 32, scope: 'project' },
      { name: 'registry', generated: false, scope: 'organization' },
    ]);
  });

  test('a renamed service that keeps its claim keeps its password, which its data knows', () => {
    const passwordOf = (services: string) =>
      renderOf(`containers:\n  web: { image: "a:1" }\nservices: { ${services} }\n`).secrets.map(({ name }) => name);
    expect(passwordOf('db: postgres')).toEqual(['db-password']);
    expect(passwordOf('main: { kind: postgres, claim: db }')).toEqual(['db-password']);
  });

  test('digests of the bytes that went in and came out', () => {
    const spec = `${head}containers:\n  web: { image: "a:1" }\n`;
    const once = render({ environment, key, spec });
    expect(once.specDigest).toBe(digestOf(spec));
    expect(once.manifestsDigest).toBe(digestOf(once.manifests));
    expect(render({ environment, key, spec: Buffer.from(spec) })).toEqual(once);
    expect(once.renderer).toBe(rendererVersion);
    const written = loadEnvironment('local', `${environmentText}edge: ingress\n# a default, said\n`);
    expect(render({ environment: written, key, spec }).environmentDigest).toBe(once.environmentDigest);
    expect(
      renderOf('containers:\n  web: { image: "a:1" }\n', 'edge: ingress\nquota: { pods: 39 }\n').environmentDigest,
    ).not.toBe(once.environmentDigest);
  });

  test('what is probably not meant', () => {
    const { warnings } = renderOf('containers:\n  web: { image: nginx, port: 80, env: { URL: $(PROT) } }\n');
    expect(warnings.map((warning) => formatFinding(warning).replace(/^\S+:(\d+:\d+)/, '$1'))).toEqual([
      '3:1 containers: no container has a route, so that nothing is reachable from outside; route: / opens one',
      '4:10 containers.web.image: nginx names no version, so that each start may run another one',
      '4:41 containers.web.env.URL: $(PROT) names no variable of web, so that it stays as it is; did you mean PORT?',
    ]);
    expect(renderOf('containers:\n  web: { image: "nginx:1", port: 80, route: / }\n').warnings).toEqual([]);
  });

  test('values never: no generated password stands in the manifests', () => {
    const objects = parseManifests(rendered.manifests).filter(({ kind }) => kind === 'Secret');
    expect(objects.map(({ data, stringData }) => [data, stringData])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
      [undefined, undefined],
    ]);
    expect(objectOf(rendered.manifests, 'Secret', 'main-password').metadata.annotations).toEqual({
      'plinth.dev/secret': 'project/main-password',
      'plinth.dev/secret-key': 'value',
    });
    expect(objectOf(rendered.manifests, 'Secret', 'registry')).toMatchObject({
      type: 'kubernetes.io/dockerconfigjson',
      metadata: {
        annotations: { 'plinth.dev/secret': 'organization/registry', 'plinth.dev/secret-key': '.dockerconfigjson' },
      },
    });
  });
});

describe('variables', () => {
  test('a container that depends on nothing hears about itself only', () => {
    const { manifests } = renderOf('containers:\n  web: { image: "a:1", port: 80, route: /shop }\n');
    expect(variablesOf(objectOf(manifests, 'Deployment', 'web'))).toEqual({
      ...own,
      PORT: '80',
      PLINTH_URL: 'http://shop--atlas.apps.localhost/shop',
    });
  });

  test('a database gives its address under its own name and under the usual ones; the password stays a reference', () => {
    const { manifests } = renderOf(
      'containers:\n  web: { image: "a:1", dependsOn: [db] }\nservices: { db: postgres }\n',
    );
    const url = 'postgresql://app:$(DB_PASSWORD)@db:5432/app';
    expect(variablesOf(objectOf(manifests, 'Deployment', 'web'))).toEqual({
      ...own,
      DB_HOST: 'db',
      DB_PORT: '5432',
      DB_USER: 'app',
      DB_DATABASE: 'app',
      DB_PASSWORD: 'secret:db-password',
      DB_URL: url,
      DATABASE_URL: url,
      PGHOST: 'db',
      PGPORT: '5432',
      PGUSER: 'app',
      PGDATABASE: 'app',
      PGPASSWORD: 'secret:db-password',
      POSTGRES_HOST: 'db',
      POSTGRES_PORT: '5432',
      POSTGRES_USER: 'app',
      POSTGRES_DB: 'app',
      POSTGRES_PASSWORD: 'secret:db-password',
    });
    expect(objectOf(manifests, 'Service', 'db')).toMatchObject({ spec: { ports: [{ port: 5432 }] } });
  });

  test('two services of one kind: only the names that say which', () => {
    const { manifests } = renderOf(
      'containers:\n  web: { image: "a:1", dependsOn: [old, new-one] }\nservices: { old: mysql, new-one: mysql }\n',
    );
    const names = Object.keys(variablesOf(objectOf(manifests, 'Deployment', 'web')));
    expect(names).not.toContain('DATABASE_URL');
    expect(names).toEqual(expect.arrayContaining(['OLD_URL', 'NEW_ONE_URL', 'NEW_ONE_PASSWORD']));
  });

  test('each stands after those it names, and what the spec says wins', () => {
    const { manifests } = renderOf(
      'containers:\n  web: { image: "a:1", dependsOn: [db], env: { A: $(Z)/x, Z: $(DB_URL), DB_HOST: other, N: 1.10, B: yes } }\nservices: { db: redis }\n',
    );
    const variables = variablesOf(objectOf(manifests, 'Deployment', 'web'));
    const names = Object.keys(variables);
    expect(['DB_PASSWORD', 'DB_URL', 'Z', 'A'].map((name) => names.indexOf(name))).toEqual(
      ['DB_PASSWORD', 'DB_URL', 'Z', 'A'].map((name) => names.indexOf(name)).toSorted((a, b) => a - b),
    );
    expect([variables.DB_HOST, variables.N, variables.B]).toEqual(['other', '1.10', 'yes']);
  });

  test('another container gives its address inside and outside', () => {
    const { manifests } = renderOf(
      'containers:\n  web: { image: "a:1", dependsOn: [api] }\n  api: { image: "a:1", port: 8000, route: /api }\n',
    );
    expect(variablesOf(objectOf(manifests, 'Deployment', 'web'))).toEqual({
      ...own,
      API_HOST: 'api',
      API_PORT: '8000',
      API_URL: 'http://api:8000',
      API_PUBLIC_URL: 'http://shop--atlas.apps.localhost/api',
      PLINTH_URL: 'http://shop--atlas.apps.localhost/api',
    });
  });

  for (const [kind, entry] of Object.entries(catalogue) as [ServiceKind, (typeof catalogue)[ServiceKind]][])
    test(`${kind}: the host in its URL is a Service with that port, and every secret is declared`, () => {
      const { manifests, secrets } = renderOf(
        `containers:\n  web: { image: "a:1", dependsOn: [thing] }\nservices: { thing: ${kind} }\n`,
      );
      const variables = variablesOf(objectOf(manifests, 'Deployment', 'web'));
      const url = new URL(variables.THING_URL!.replaceAll(/\$\(\w+\)/g, 'pw'));
      expect([url.hostname, url.port]).toEqual(['thing', String(entry.port)]);
      const service = objectOf(manifests, 'Service', 'thing');
      expect(digList(service, 'spec.ports').map((port) => dig(port, 'port'))).toContain(entry.port);
      expect(secrets.map(({ name }) => name)).toEqual(
        Object.keys(entry.secrets)
          .map((suffix) => `thing-${suffix}`)
          .sort(),
      );
      for (const name of Object.keys(entry.variables)) expect(Object.keys(variables)).toContain(name);
    });
});

describe('workloads', () => {
  test('a container on a ReadWriteOnce volume never has two copies: StatefulSet, one; others roll', () => {
    const { manifests } = renderOf(
      'containers:\n  web: { image: "a:1" }\n  keeper: { image: "a:1", mounts: { /d: data } }\nvolumes: { data: 1Gi }\n',
    );
    expect(dig(objectOf(manifests, 'StatefulSet', 'keeper'), 'spec.replicas')).toBe(1);
    expect(dig(objectOf(manifests, 'Deployment', 'web'), 'spec.strategy')).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
    });
  });

  test('those that share ReadWriteOnce volumes, directly or through others, run on one node', () => {
    const body =
      'containers:\n  a1: { image: "a:1", mounts: { /d: one } }\n  a2: { image: "a:1", mounts: { /d: one, /e: two } }\n  a3: { image: "a:1", mounts: { /d: two } }\n  a4: { image: "a:1", mounts: { /d: three } }\nvolumes: { one: 1Gi, two: 1Gi, three: 1Gi }\n';
    const groupsOf = (manifests: string) =>
      ['a1', 'a2', 'a3', 'a4'].map(
        (name) =>
          digMap(objectOf(manifests, 'StatefulSet', name), 'spec.template.metadata.labels')['plinth.dev/node-group'],
      );
    const { manifests } = renderOf(body);
    expect(groupsOf(manifests)).toEqual(['one', 'one', 'one', undefined]);
    expect(
      dig(
        objectOf(manifests, 'StatefulSet', 'a3'),
        'spec.template.spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution',
      ),
    ).toEqual([
      {
        labelSelector: { matchLabels: { 'plinth.dev/node-group': 'one', 'plinth.dev/project': 'shop' } },
        topologyKey: 'kubernetes.io/hostname',
      },
    ]);
    expect(groupsOf(renderOf(body, 'storage: { affinity: false }\n').manifests)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('no image: the environment has one', () => {
    const image = (more: string) =>
      dig(
        objectOf(renderOf('containers:\n  web: {}\n', more).manifests, 'Deployment', 'web'),
        'spec.template.spec.containers.0.image',
      );
    expect([image(''), image('image: tools/dev:7\n')]).toEqual(['node:24-alpine', 'tools/dev:7']);
  });

  test('renaming a container keeps its claim', () => {
    const claims = (name: string) =>
      renderOf(`containers:\n  ${name}: { image: "a:1", mounts: { /d: data } }\nvolumes: { data: 1Gi }\n`).volumes;
    expect(claims('one')).toEqual(claims('two'));
  });

  test('a job gets a new name when what it does changes, and only then', () => {
    const jobOf = (body: string) =>
      parseManifests(renderOf(body).manifests).find(({ kind }) => kind === 'Job')!.metadata.name;
    const one = jobOf('containers:\n  web: { image: "a:1", dependsOn: [init] }\njobs: { init: { image: "a:1" } }\n');
    expect(one).toMatch(/^init-[0-9a-f]{8}$/);
    expect(
      jobOf('containers:\n  web: { image: "b:9", dependsOn: [init], replicas: 2 }\njobs: { init: { image: "a:1" } }\n'),
    ).toBe(one);
    expect(
      jobOf('containers:\n  web: { image: "a:1", dependsOn: [init] }\njobs: { init: { image: "a:2" } }\n'),
    ).not.toBe(one);
  });

  test('`like` takes over image, variables, mounts and dependencies, but no command, port or route', () => {
    const body =
      'containers:\n  web: { image: "a:1", port: 80, route: /, command: serve, env: { A: a, B: b }, dependsOn: [db, init], user: 7 }\n  worker: { like: web, command: [work], env: { B: c } }\njobs: { init: { like: web } }\nservices: { db: redis }\n';
    const { worker } = loadProject(head + body).containers;
    expect(worker).toMatchObject({
      image: 'a:1',
      command: ['work'],
      env: { A: 'a', B: 'c' },
      dependsOn: ['db', 'init'],
      user: 7,
    });
    expect([worker!.port, worker!.route]).toEqual([undefined, undefined]);
    const job = parseManifests(renderOf(body).manifests).find(({ kind }) => kind === 'Job')!;
    expect(job.metadata.annotations).toEqual({ 'plinth.dev/depends-on': 'db' });
    expect(variablesOf(job)).toMatchObject({ A: 'a', DB_HOST: 'db', PLINTH_URL: 'http://shop--atlas.apps.localhost' });
  });

  test('secrets that a pod uses are listed on its template, for the roll when one changes', () => {
    const { manifests } = renderOf(
      'containers:\n  web: { image: "a:1", secrets: [b-key], files: { /k: { secret: a-key } }, dependsOn: [db] }\nservices: { db: redis }\n',
    );
    expect(digMap(objectOf(manifests, 'Deployment', 'web'), 'spec.template.metadata.annotations')).toEqual({
      'plinth.dev/uses-secrets': 'a-key,b-key,db-password',
    });
  });

  test('a changed file rolls the pods that hold it', () => {
    const digest = (text: string) =>
      digMap(
        objectOf(
          renderOf(`containers:\n  web: { image: "a:1", files: { /x: ${text} } }\n`).manifests,
          'Deployment',
          'web',
        ),
        'spec.template.metadata.annotations',
      )['plinth.dev/files'];
    expect(digest('one')).not.toBe(digest('two'));
  });
});

describe('the environment shapes manifests', () => {
  test('class, TLS and time limits of the edge', () => {
    const { manifests } = renderOf(
      'containers:\n  web: { image: "a:1", port: 80, route: { path: /x/, timeoutSeconds: 60, bodySize: 1Mi } }\n',
      'ingress: { class: nginx, tlsSecret: wildcard }\n',
    );
    expect(objectOf(manifests, 'Ingress', 'web')).toMatchObject({
      metadata: {
        annotations: {
          'nginx.ingress.kubernetes.io/proxy-body-size': '1048576',
          'nginx.ingress.kubernetes.io/proxy-read-timeout': '60',
          'nginx.ingress.kubernetes.io/proxy-send-timeout': '60',
        },
      },
      spec: {
        ingressClassName: 'nginx',
        tls: [{ hosts: ['shop--atlas.apps.localhost'], secretName: 'wildcard' }],
        rules: [{ http: { paths: [{ path: '/x', pathType: 'Prefix' }] } }],
      },
    });
  });

  test('storage class and size', () => {
    const claim = (more: string) =>
      objectOf(
        renderOf('containers:\n  web: { image: "a:1", mounts: { /d: data } }\nvolumes: { data: {} }\n', more).manifests,
        'PersistentVolumeClaim',
        'data',
      ).spec;
    expect(claim('')).toEqual({ accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } });
    expect(claim('storage: { class: fast, size: 7Gi }\n')).toEqual({
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '7Gi' } },
      storageClassName: 'fast',
    });
  });

  test('render reads no environment variable and no clock', () => {
    const before = { env: process.env, now: Date.now };
    const touched: string[] = [];
    process.env = new Proxy(
      {},
      { get: (_, name) => void touched.push(String(name)), ownKeys: () => [] },
    ) as NodeJS.ProcessEnv;
    Date.now = () => {
      touched.push('the clock');
      return 0;
    };
    try {
      renderOf('containers:\n  web: { image: "a:1", port: 80, route: / }\n');
    } finally {
      process.env = before.env;
      Date.now = before.now;
    }
    // Both only turn on output for debugging (yaml) or the order of keys, which is sorted afterwards (cdk8s).
    expect(
      [...new Set(touched)].filter((name) => !['LOG_TOKENS', 'LOG_STREAM', 'CDK8S_DISABLE_SORT'].includes(name)),
    ).toEqual([]);
  });
});
