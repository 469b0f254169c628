import { createHmac } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWithCluster, type SharedCluster } from '#support/cluster.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { git } from '#support/git.ts';
import { describeWithGitea, type GiteaStatus, type TestRepository } from '#support/gitea.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { eventually, smallest } from '#support/walk.ts';

const webhookSecret = 'what Gitea signs with';
/** Longer than the walk: whatever comes in is told by a webhook. */
const pollSeconds = '3600';

describeWithGitea('a state repository at Gitea', (gitea) => {
  describeWithCluster('and a cluster', (cluster: () => SharedCluster) => {
    const directory = useTemporaryDirectory('plinth-host');
    const clone = join(directory, 'clone');
    let repository: TestRepository;
    let plinth: ControlPlane;

    beforeAll(async () => {
      repository = await gitea().createRepository('state');
      plinth = await startControlPlane({
        dataDirectory: join(directory, 'data'),
        environment: {
          KUBECONFIG: cluster().kubeconfig,
          STATE_REPOSITORY_URL: repository.httpUrl,
          STATE_REPOSITORY_PROVIDER: 'gitea',
          STATE_REPOSITORY_TOKEN: gitea().token,
          STATE_REPOSITORY_WEBHOOK_SECRET: webhookSecret,
          STATE_REPOSITORY_POLL_SECONDS: pollSeconds,
        },
      });
      await repository.addWebhook(`${plinth.url}/api/v1/webhooks/git/gitea`, webhookSecret);
      const { user, password } = gitea();
      const url = repository.httpUrl.replace('http://', `http://${user}:${password}@`);
      await git(directory, 'clone', '--quiet', url, clone);
    });
    afterAll(async () => {
      await plinth?.stop();
    });

    /** A person pushes these specs, and knows the commit. */
    const push = async (specs: Record<string, string>): Promise<string> => {
      await git(clone, 'pull', '--quiet', '--rebase');
      for (const [name, spec] of Object.entries(specs)) {
        const file = join(clone, 'environments/local', name, 'project.yaml');
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, spec);
      }
      await git(clone, 'add', '--all');
      await git(clone, 'commit', '--quiet', '--message', 'By hand');
      await git(clone, 'push', '--quiet', 'origin', 'HEAD:main');
      return await git(clone, 'rev-parse', 'HEAD');
    };
    /** What the host shows of a context, the newest last; times have seconds only. */
    const shown = async (revision: string, aspect: string): Promise<readonly GiteaStatus[]> =>
      (await repository.statuses(revision))
        .filter(({ context }) => context === `plinth/local/${aspect}`)
        .sort((a, b) => a.id - b.id);
    const ended = async (revision: string, aspect: string, state: string) => {
      const all = await eventually(
        () => shown(revision, aspect),
        (statuses) => statuses.at(-1)?.status === state,
        40_000,
      );
      return { states: all.map(({ status }) => status), description: all.at(-1)?.description };
    };
    /** All of the order, or its end: what is reached before anybody was told of the beginning is told alone. */
    const expectOrder = (states: readonly string[], order: readonly string[]) =>
      expect(states).toEqual(order.slice(order.length - states.length));

    test('a push is told by its webhook and applied, and so is the commit that renders it', async () => {
      const revision = await push({ 'hosted/web': smallest });
      const healthy = await ended(revision, 'healthy', 'success');
      expectOrder(healthy.states, ['pending', 'success']);
      expect(healthy.description).toBe('1 project healthy');
      const applied = await ended(revision, 'applied', 'success');
      expectOrder(applied.states, ['pending', 'success']);
      expect(applied.description).toBe('1 project applied');
      const tip = (await git(clone, 'ls-remote', 'origin', 'refs/heads/main')).split('\t')[0]!;
      expect(tip).not.toBe(revision);
      await ended(tip, 'healthy', 'success');
      expect(await plinth.metrics()).toMatch(/plinth_git_webhooks_total\{provider="gitea",outcome="push"\} [1-9]/);
    });

    test('pending for as long as it lasts, then applied and healthy', async () => {
      const web = '/api/v1/environments/local/projects/hosted/web';
      expect((await plinth.request('POST', `${web}/suspend`, { reason: 'a look at it' })).status).toBeLessThan(300);
      const revision = await push({ 'hosted/web': smallest.replace('1.29', '1.30'), 'hosted/other': smallest });
      await ended(revision, 'applied', 'pending');
      await plinth.until('/api/v1/environments/local/projects/hosted/other', ({ health }) => health === 'healthy');
      expect((await shown(revision, 'healthy')).map(({ status }) => status)).toEqual(['pending']);
      expect((await plinth.request('POST', `${web}/resume`, {})).status).toBeLessThan(300);
      expect(await ended(revision, 'applied', 'success')).toEqual({
        states: ['pending', 'success'],
        description: '2 projects applied',
      });
      expect((await ended(revision, 'healthy', 'success')).states).toEqual(['pending', 'success']);
    });

    test('a project that cannot become healthy is applied, and a failure that says why; mended later it stays one', async () => {
      const revision = await push({ 'hosted/broken': broken });
      expectOrder((await ended(revision, 'applied', 'success')).states, ['pending', 'success']);
      const { states, description } = await ended(revision, 'healthy', 'failure');
      expectOrder(states, ['pending', 'failure']);
      expect(description).toMatch(/^hosted\/broken: Deployment\/web .* cannot be pulled/);
      const mended = await push({ 'hosted/broken': smallest });
      await ended(mended, 'healthy', 'success');
      expect((await shown(revision, 'healthy')).at(-1)?.status).toBe('failure');
    });

    test('a spec that is refused is a failure that says why', async () => {
      const revision = await push({ 'hosted/refused': smallest.replace('port: 8080', 'port: 808080') });
      const applied = await ended(revision, 'applied', 'failure');
      expectOrder(applied.states, ['pending', 'failure']);
      expect(applied.description).toContain('hosted/refused: project.yaml: containers.web.port');
      expectOrder((await ended(revision, 'healthy', 'failure')).states, ['pending', 'failure']);
      const mended = await push({ 'hosted/refused': smallest });
      await ended(mended, 'healthy', 'success');
      expect((await shown(revision, 'applied')).at(-1)?.status).toBe('failure');
    });

    test('forged webhooks are refused, and nothing comes of them', async () => {
      const send = (secret: string) => {
        const body = JSON.stringify({ ref: 'refs/heads/main', repository: { full_name: repository.name } });
        const signature = createHmac('sha256', secret).update(body).digest('hex');
        const headers = { 'content-type': 'application/json', 'x-gitea-event': 'push', 'x-gitea-signature': signature };
        return fetch(`${plinth.url}/api/v1/webhooks/git/gitea`, { method: 'POST', body, headers });
      };
      expect((await send('another secret')).status).toBe(401);
      expect((await send(webhookSecret)).status).toBe(202);
    });
  });
});

/** Its pods wait for an image for ever. */
const broken = `${smallest}patches:
  - target: { kind: Deployment, name: web }
    patch:
      - op: add
        path: /spec/template/metadata/annotations
        value: { tier.test/waiting: ImagePullBackOff }
`;
