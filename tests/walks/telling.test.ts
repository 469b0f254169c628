import { createHmac } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import { messageSchema } from '#notify/message.ts';
import { startOtlpReceiver } from '#support/otlp-receiver.ts';
import { startReceiver } from '#support/receiver.ts';
import { describeWalk, eventually, projectPath, put } from '#support/walk.ts';

const environmentFile = 'environments/local/environment.yaml';
const collector = await startOtlpReceiver();
const receiver = await startReceiver();
afterAll(async () => {
  await Promise.all([collector.close(), receiver.close()]);
});

/** Nothing that takes time to start: it is healthy as soon as the cluster has seen it. */
const spec = (image: string) => `apiVersion: plinth.dev/v1
kind: Project
containers:
  web: { image: "${image}", port: 8080, replicas: 0 }
`;

interface EventList {
  readonly items: readonly {
    readonly reason: string;
    readonly message: string;
    readonly source: { readonly component: string };
  }[];
}

describeWalk(
  'what becomes of a project',
  (walk) => {
    test('is told by webhook and beside its objects, and can be measured and traced', async () => {
      const { plinth, cluster } = walk;
      for (const [name, value] of [
        ['hook', `${receiver.url}/hook?token=t0ken`],
        ['hook-key', 'the key'],
      ])
        expect((await plinth.request('PUT', `/api/v1/secrets/${name}`, { value })).status).toBe(200);
      const clone = await walk.clone();
      const on = ['applied', 'healthy', 'held'];
      const notify = [{ kind: 'webhook', url: 'hook', key: 'hook-key', on, projects: ['told/web'] }];
      await clone.push({
        [environmentFile]: `${clone.read(environmentFile)}notify: ${JSON.stringify(notify)}\n`,
        'environments/local/told/pushed/project.yaml': spec('nginx:1'),
      });
      await plinth.until(
        projectPath('told/pushed'),
        ({ phase, health }) => phase === 'applied' && health === 'healthy',
      );

      const { revision } = await put(plinth, 'told/web', spec('nginx:1'));
      const told = await eventually(
        async () =>
          receiver.received.map((request) => ({ request, message: messageSchema.parse(JSON.parse(request.body)) })),
        (all) => all.some(({ message }) => message.says.includes('healthy')),
      );
      const says = told.flatMap(({ message }) => message.says);
      expect([...says].sort()).toEqual(['applied', 'healthy']);
      for (const { request, message } of told) {
        expect(message).toMatchObject({ environment: 'local', team: 'told', project: 'web', revision });
        const signature = createHmac('sha256', 'the key').update(request.body).digest('hex');
        expect(request.headers['x-plinth-signature-256']).toBe(`sha256=${signature}`);
        expect(request.path).toBe('/hook?token=t0ken');
      }

      const events = await eventually(
        async () => (await cluster.api('GET', '/api/v1/namespaces/local--told--web/events')).body as EventList,
        ({ items }) => items.filter(({ source }) => source.component === 'plinth').length >= told.length,
      );
      for (const { message } of told) expect(events.items.map((event) => event.message)).toContain(message.summary);

      const metrics = await plinth.metrics();
      expect(metrics).toMatch(/^plinth_projects\{environment="local",phase="applied",health="healthy"\} 2$/m);
      expect(metrics).toMatch(/^plinth_objects\{environment="local",kind="Deployment",health="healthy"\} 2$/m);
      expect(metrics).toMatch(/^plinth_reconcile_lag_seconds_count\{environment="local"\} 2$/m);
      expect(metrics).toMatch(/^plinth_deliveries_total\{kind="webhook",outcome="sent"\} [12]$/m);
      expect(metrics).not.toContain('told');

      await receiver.close();
      await put(plinth, 'told/web', spec('nginx:2'));
      const waiting = await plinth.until('/api/v1/environments/local/deliveries', ({ items }) => items.length > 0);
      expect(waiting.items[0]).toMatchObject({
        kind: 'webhook',
        to: ['hook'],
        reason: `127.0.0.1:${receiver.port} cannot be reached: ECONNREFUSED`,
        dueAt: expect.any(String),
      });
      expect(plinth.log()).not.toContain('t0ken');
      expect(await plinth.stop()).toBe(0);
      const spans = collector.spans();
      const whole = (name: string, project: string) =>
        spans.find((span) => span.name === name && span.attributes['plinth.project'] === project);
      const reconcile = whole('reconcile', 'told/web');
      const pieces = spans.filter(({ parentSpanId }) => parentSpanId === reconcile?.spanId).map(({ name }) => name);
      expect(reconcile?.attributes).toMatchObject({ 'plinth.environment': 'local', 'plinth.revision': revision });
      expect(new Set(pieces)).toEqual(new Set(['reconcile.load', 'reconcile.apply', 'reconcile.record']));
      const names = spans.map(({ name }) => name);
      for (const name of ['publish', 'publish.render', 'publish.commit', 'publish.finish', 'scan', 'scan.slice'])
        expect(names).toContain(name);
      expect(JSON.stringify(collector.requests)).not.toContain('t0ken');
    });
  },
  { EGRESS_ALLOWED_RANGES: '127.0.0.0/8', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
);
