import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { GitProvider } from '#base/config/git.ts';
import { newId } from '#base/ids.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { webhookRoutes } from '#contract/webhook-routes.ts';
import { createWebhookHandlers } from '#git/webhook-handlers.ts';
import { createApplication, endApplication } from '#http/application.ts';
import { mountRoutes } from '#http/route.ts';
import { silent } from '#support/git.ts';

const secret = 'a secret that hosts know';
const metrics = createMetrics();
let wakes = 0;

/** The route as server.ts mounts it, without anything else around it. */
async function serve(
  given: string | undefined,
  provider?: GitProvider,
): Promise<{ url: string; close(): Promise<void> }> {
  const app = createApplication({
    log: silent,
    metrics,
    clock: systemClock,
    newRequestId: () => newId('request', systemClock.now()),
    trustedProxies: [],
    stopping: new AbortController().signal,
  } as never);
  const handlers = createWebhookHandlers({
    secret: given === undefined ? undefined : new Secret(given),
    provider,
    wake: () => {
      wakes += 1;
    },
    clock: systemClock,
    log: silent,
    metrics,
  });
  const callerOf = async () => Promise.reject(new Error('nobody is asked who they are'));
  mountRoutes(app, { routes: webhookRoutes, handlers, callerOf, authorise: () => false, clock: systemClock });
  endApplication(app);
  const server = createServer(app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

const sign = (body: string | Buffer, key = secret) => `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;
const payload = JSON.stringify({ ref: 'refs/heads/main', repository: { full_name: 'acme/state' } });
const from = (event: string, body: string | Buffer, more: Record<string, string> = {}) => ({
  'content-type': 'application/json',
  'x-github-event': event,
  'x-hub-signature-256': sign(body),
  ...more,
});

describe('POST /api/v1/webhooks/git/{provider}', () => {
  let on: Awaited<ReturnType<typeof serve>>;
  let off: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    [on, off] = await Promise.all([serve(secret), serve(undefined)]);
  });
  afterAll(() => Promise.all([on.close(), off.close()]));
  beforeEach(() => {
    wakes = 0;
  });

  const post = async (provider: string, body: string | Buffer, headers: Record<string, string>, base = on.url) => {
    const answer = await fetch(`${base}/api/v1/webhooks/git/${provider}`, {
      method: 'POST',
      headers,
      body: new Uint8Array(Buffer.from(body)),
    });
    const text = await answer.text();
    return { status: answer.status, code: text === '' ? '' : JSON.parse(text).code, text };
  };

  test('a push and a pull request wake, a ping and the rest do not; all are answered with 202 and nothing', async () => {
    for (const [event, wanted] of [
      ['push', 1],
      ['pull_request', 2],
      ['ping', 2],
      ['star', 2],
    ] as const) {
      expect(await post('github', payload, from(event, payload))).toEqual({ status: 202, code: '', text: '' });
      expect(wakes).toBe(wanted);
    }
    const form = `payload=${encodeURIComponent(payload)}`;
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await post('github', form, from('push', form, type))).status).toBe(202);
    expect(wakes).toBe(3);
  });

  test('refusals say what a sender may know', async () => {
    const wrong = await post('github', payload, from('push', payload, { 'x-hub-signature-256': sign(payload, 'x') }));
    const { 'x-hub-signature-256': _, ...unsigned } = from('push', payload);
    const missing = await post('github', payload, unsigned);
    for (const refused of [wrong, missing]) {
      expect([refused.status, refused.code]).toEqual([401, 'WEBHOOK_REFUSED']);
      expect(JSON.parse(refused.text).detail).toBe('The webhook is not taken.');
    }
    expect(await post('gerrit', payload, from('push', payload))).toMatchObject({
      status: 404,
      code: 'WEBHOOK_PROVIDER_UNKNOWN',
    });
    expect(await post('github', payload, from('push', payload, { 'content-type': 'text/plain' }))).toMatchObject({
      status: 415,
      code: 'MEDIA_TYPE_UNKNOWN',
    });
    expect(await post('github', payload, from('push', payload, { 'content-encoding': 'gzip' }))).toMatchObject({
      status: 415,
      code: 'ENCODING_UNKNOWN',
    });
    expect(await post('github', '{', from('push', '{'))).toMatchObject({ status: 400, code: 'BODY_INVALID' });
    const large = Buffer.alloc(3 * 1024 * 1024 + 1, 32);
    expect(await post('github', large, from('push', large))).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE' });
    const off404 = await post('github', payload, from('push', payload), off.url);
    expect(off404).toMatchObject({ status: 404, code: 'WEBHOOKS_OFF' });
    expect(off404.text).toContain('STATE_REPOSITORY_WEBHOOK_SECRET');
    expect((await fetch(`${on.url}/api/v1/webhooks/git/github`)).status).toBe(405);
    expect(wakes).toBe(0);
  });

  test('where the host is known, only its own deliveries are taken; others are as if there were none', async () => {
    const github = await serve(secret, 'github');
    const plain = await serve(secret, 'plain');
    try {
      const gitlab = { 'content-type': 'application/json', 'x-gitlab-event': 'Push Hook', 'x-gitlab-token': secret };
      const refused = await post('gitlab', payload, gitlab, github.url);
      expect([refused.status, JSON.parse(refused.text).detail]).toEqual([
        404,
        'There are no webhooks of gitlab; there are those of github.',
      ]);
      expect(wakes).toBe(0);
      expect((await post('github', payload, from('push', payload), github.url)).status).toBe(202);
      expect((await post('gitlab', payload, gitlab, plain.url)).status).toBe(202);
      expect(wakes).toBe(2);
    } finally {
      await Promise.all([github.close(), plain.close()]);
    }
  });

  test('large bodies of strangers are held by sixteen at once; small ones pass beside them', async () => {
    const slow = Array.from({ length: 16 }, () => {
      const { hostname, port } = new URL(on.url);
      const asking = request({
        hostname,
        port,
        method: 'POST',
        path: '/api/v1/webhooks/git/github',
        headers: { ...from('push', ''), 'content-length': 2_000_000 },
      });
      asking.on('error', () => {});
      asking.write('x');
      return asking;
    });
    const big = Buffer.alloc(100_000, 32);
    // The sixteen reach the server whenever they do: the next one is refused from then on.
    for (;;) {
      const answer = await post('github', big, from('push', big));
      if (answer.status === 429) break;
      expect(answer.code).toBe('BODY_INVALID');
    }
    expect((await post('github', payload, from('push', payload))).status).toBe(202);
    for (const asking of slow) asking.destroy();
    for (;;) if ((await post('github', big, from('push', big))).status !== 429) break;
  });

  test('1,000 mixed requests: no 5xx, none wakes wrongly, memory stays', async () => {
    const random = randomOf(20261122);
    const statuses = new Map<number, number>();
    let wanted = 0;
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    const one = async (i: number) => {
      const provider = ['github', 'gitea', 'gitlab', 'bitbucket', 'gerrit', '..%2f', 'GITHUB'][
        Math.floor(random() * 7)
      ]!;
      const body = bodies[Math.floor(random() * bodies.length)]!(random);
      const valid = random() < 0.3;
      const signature = createHmac('sha256', valid ? secret : `wrong-${i}`)
        .update(body)
        .digest('hex');
      const type =
        random() < 0.9
          ? 'application/json'
          : ['text/html', 'application/json; charset=latin1', ''][Math.floor(random() * 3)]!;
      const headers = {
        'content-type': type,
        'x-github-event': 'push',
        'x-gitea-event': 'push',
        'x-gitlab-event': 'Push Hook',
        'x-event-key': 'repo:push',
        'x-hub-signature-256': `sha256=${signature}`,
        'x-gitea-signature': signature,
        'x-hub-signature': `sha256=${signature}`,
        'x-gitlab-token': valid ? secret : 'wrong',
      };
      const { status } = await post(provider, body, headers);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const isHost = ['github', 'gitea', 'gitlab', 'bitbucket'].includes(provider);
      if (valid && isHost && type.startsWith('application/json') && isJson(body)) wanted += 1;
    };
    for (let at = 0; at < 1000; at += 50) await Promise.all(Array.from({ length: 50 }, (_, i) => one(at + i)));
    expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
    expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(1000);
    expect(statuses.get(202)).toBe(wanted);
    expect(wakes).toBe(wanted);
    expect(wanted).toBeGreaterThan(50);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  });
});

const bodies: readonly ((random: () => number) => Buffer)[] = [
  () => Buffer.from(payload),
  () => Buffer.from(`{"ref":"refs/heads/main","after":"${'f'.repeat(40)}"}`),
  () => Buffer.from('{"ref":'),
  () => Buffer.alloc(0),
  () => Buffer.from([0xff, 0x00, 0xfe]),
  () => Buffer.from('['.repeat(20_000)),
  () => Buffer.from('{"__proto__":{"kind":"push"},"constructor":1}'),
  (random) => Buffer.alloc(Math.floor(random() * 60_000), 'a'),
  () => Buffer.from('null'),
];

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return true;
  } catch {
    return false;
  }
}

/** The same numbers at each run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}
