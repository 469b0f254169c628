import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { systemClock } from '#base/clock.ts';
import { createMetrics, type Metrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { loadEnvironments } from '#environments/load.ts';
import type { Environment } from '#environments/schema.ts';
import { openSecrets } from '#secrets/open.ts';
import { organization } from '#secrets/scope.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { captureLog } from '#support/captured-log.ts';
import { describeWithCluster } from '#support/cluster.ts';
import { silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { createRuntimes, type Runtimes } from '../../app/runtimes.ts';
import { until } from './runtime/start-runtime.ts';

const db = useDatabase();
const folder = useTemporaryDirectory();
const canary = 'canary-token-51c7';

const environment = (name: string, cluster: string | undefined): Environment => {
  const content = stringify({
    apiVersion: 'plinth.dev/v1',
    kind: 'Environment',
    runtime: 'kubernetes',
    cluster,
    domain: `${name}.example.test`,
  });
  const path = `environments/${name}/environment.yaml`;
  return loadEnvironments([{ path, content: Buffer.from(content) }]).get(name) as Environment; // it was just given
};

describeWithCluster('runtimes of environments', (cluster) => {
  let secrets: Secrets;
  let metrics: Metrics;
  let runtimes: Runtimes;
  let log = captureLog();
  let kubeconfig = '';
  /** What names mean here; the system knows the others. */
  const names = new Map<string, readonly string[]>();

  beforeAll(async () => {
    const encryption = { dataDirectory: folder };
    ({ secrets } = await openSecrets({ database: db.database, log: silent, clock: systemClock, encryption }));
    kubeconfig = readFileSync(cluster().kubeconfig, 'utf8');
  });
  beforeEach(async () => {
    await db.database.query('truncate secret_values');
    names.clear();
    metrics = createMetrics();
    log = captureLog();
    runtimes = createRuntimes({
      installation: 'ins-runtimes',
      digestKey: new Secret(Buffer.from('a key of the tests')),
      clock: systemClock,
      log: log.log,
      metrics,
      secrets,
      agent: 'rep_runtimes',
      findCluster: async () => ({ kind: 'none', advice: 'Start one.' }),
      resolve: async (host) => names.get(host) ?? (await lookup(host, { all: true })).map(({ address }) => address),
    });
  });
  const give = async (text: string) => {
    await secrets.set(organization, 'cluster-prod', new Secret(text), 'ann');
    runtimes.secretsChanged();
  };
  const changed = (change: (config: ReturnType<typeof parse>) => void) => {
    const config = parse(kubeconfig);
    change(config);
    return stringify(config);
  };
  const because = async (of: Environment) => (await runtimes.choose(of)).make().because;
  const requests = async () =>
    Object.fromEntries((await metrics.apiCalls.get()).values.map(({ labels, value }) => [labels.verb, value]));

  test('a cluster without its secret is none, and says which secret; it is taken up when the secret comes', async () => {
    const dev = environment('dev', 'prod');
    const before = await runtimes.choose(dev);
    expect(before.make().runtime.kind).toBe('none');
    expect(before.make().because).toBe(
      'its cluster is prod, and there is no secret cluster-prod: put a kubeconfig there with PUT /api/v1/secrets/cluster-prod.',
    );
    await give(kubeconfig);
    const after = await runtimes.choose(dev);
    expect(after.choice).not.toBe(before.choice);
    const { runtime } = after.make();
    runtime.start({ changed: () => {}, state: () => {} });
    await until(() => runtime.state().complete);
    await runtime.stop();
    await secrets.remove(organization, 'cluster-prod');
    runtimes.secretsChanged();
    expect((await runtimes.choose(dev)).choice).toBe(before.choice);
  });

  test('two environments on one cluster share client and watches, and stop for themselves', async () => {
    await give(kubeconfig);
    const first = (await runtimes.choose(environment('dev', 'prod'))).make().runtime;
    first.start({ changed: () => {}, state: () => {} });
    await until(() => first.state().complete);
    const asked = await requests();
    const second = (await runtimes.choose(environment('staging', 'prod'))).make().runtime;
    const states: boolean[] = [];
    second.start({ changed: () => {}, state: ({ complete }) => states.push(complete) });
    await until(() => states.length > 0);
    expect(states).toEqual([true]);
    expect(await requests()).toEqual(asked);
    await first.stop();
    const key = { apiVersion: 'v1', kind: 'Namespace', namespace: '', name: 'default' };
    expect((await second.read(key))?.metadata.name).toBe('default');
    expect(second.state()).toMatchObject({ connected: true, complete: true });
    await second.stop();
  });

  test('new credentials for the same server go to the runtime that runs', async () => {
    const wrong = changed((config) => {
      config.users[0].user = { token: canary };
    });
    await give(wrong);
    const dev = environment('dev', 'prod');
    const { choice, make } = await runtimes.choose(dev);
    const { runtime } = make();
    const key = { apiVersion: 'v1', kind: 'Namespace', namespace: '', name: 'default' };
    await expect(runtime.read(key)).rejects.toThrow();
    await give(kubeconfig);
    expect((await runtimes.choose(dev)).choice).toBe(choice);
    expect((await runtime.read(key))?.metadata.name).toBe('default');
    await runtime.stop();
    expect(log.text()).not.toContain(canary);
  });

  describe('refuses without telling a value', () => {
    const cases: Record<string, [(config: ReturnType<typeof parse>) => void, string]> = {
      'a program': [
        (config) => {
          config.users[0].user = { exec: { command: canary } };
        },
        'it holds exec; no program is run for it: give it the token of a service account, or a client certificate',
      ],
      'a path of a token': [
        (config) => {
          config.users[0].user = { tokenFile: `/etc/${canary}` };
        },
        'it holds tokenFile; put the token itself there as token',
      ],
      'a path of an authority': [
        (config) => {
          config.clusters[0].cluster['certificate-authority'] = `/etc/${canary}`;
        },
        'it holds certificate-authority; put the content there as certificate-authority-data',
      ],
      'a server without TLS': [
        (config) => {
          config.clusters[0].cluster.server = 'http://example.test';
        },
        'the server of its cluster is no https address',
      ],
      'the address of metadata': [
        (config) => {
          config.clusters[0].cluster.server = 'https://169.254.169.254';
        },
        'no API server is at 169.254.169.254',
      ],
      'no context': [(config) => Reflect.deleteProperty(config, 'current-context'), 'it has no current-context'],
    };
    test.each(Object.entries(cases))('%s', async (_, [change, why]) => {
      await give(changed(change));
      const said = await because(environment('dev', 'prod'));
      expect(said).toBe(`the kubeconfig in secret cluster-prod cannot be used: ${why}.`);
    });

    test('what is no YAML', async () => {
      await give(`users: [{ token: ${canary}`);
      const said = await because(environment('dev', 'prod'));
      expect(said).toBe('the kubeconfig in secret cluster-prod cannot be used: it is not YAML.');
      expect(log.text()).not.toContain(canary);
    });
  });

  describe('a server by its name', () => {
    const dev = environment('dev', 'prod');
    const refused = 'the kubeconfig in secret cluster-prod cannot be used: no API server is at api.example.test.';
    const named = () =>
      changed((config) => {
        config.clusters[0].cluster.server = 'https://api.example.test:6443';
      });

    test.each([[['169.254.169.254']], [['10.0.0.1', 'fd00:ec2::254']], [['fe80::1']], [['100.100.100.200']]])(
      'that means %j is refused',
      async (addresses) => {
        names.set('api.example.test', addresses);
        await give(named());
        expect(await because(dev)).toBe(refused);
      },
    );

    test('is judged anew each time credentials are taken', async () => {
      names.set('api.example.test', ['10.0.0.1']);
      await give(named());
      expect(await because(dev)).toContain('api.example.test:6443, by secret cluster-prod');
      names.set('api.example.test', ['169.254.169.254']);
      runtimes.secretsChanged();
      expect(await because(dev)).toBe(refused);
    });

    test('that means nothing at the moment stays known', async () => {
      names.set('api.example.test', ['10.0.0.1']);
      await give(named());
      const { choice } = await runtimes.choose(dev);
      names.clear();
      runtimes.secretsChanged();
      expect((await runtimes.choose(dev)).choice).toBe(choice);
    });
  });

  test('a kubeconfig that names this machine is used, with a warning', async () => {
    await give(kubeconfig);
    await runtimes.choose(environment('dev', 'prod'));
    expect(log.text()).toContain('the kubeconfig of a cluster names this very machine');
  });
});
