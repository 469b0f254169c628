import { createHmac, randomBytes } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createEgress } from '#base/egress.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { type DeliveryView, listDeliveries } from '#notify/delivery-store.ts';
import { createMailer } from '#notify/mail.ts';
import { messageSchema } from '#notify/message.ts';
import { createNotifier, type Notifier, type Order } from '#notify/notifier.ts';
import { type OpenSecrets, openSecrets } from '#secrets/open.ts';
import { organization } from '#secrets/scope.ts';
import { captureLog } from '#support/captured-log.ts';
import { startProcess } from '#support/child-process.ts';
import { useDatabase } from '#support/postgres.ts';
import { type Receiver, type Say, startReceiver } from '#support/receiver.ts';
import { startSmtpServer } from '#support/smtp.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const db = useDatabase();
const dataDirectory = useTemporaryDirectory('plinth-notify');
const soon = { interval: 5, timeout: 20_000 };

let opened: OpenSecrets;
let endings: (() => Promise<unknown>)[] = [];
let captured = captureLog();
let metrics = createMetrics();
beforeAll(async () => {
  const { log } = captured;
  opened = await openSecrets({ database: db.database, log, clock: systemClock, encryption: { dataDirectory } });
  return () => opened.stop();
});
beforeEach(() => {
  captured = captureLog();
  metrics = createMetrics();
});
afterEach(async () => {
  for (const end of endings.reverse()) await end();
  endings = [];
  await db.database.query('delete from deliveries');
  await db.database.query('delete from delivery_targets');
});

async function serve(answer?: (request: unknown, number: number) => Say | undefined): Promise<Receiver> {
  const receiver = await startReceiver(answer);
  endings.push(() => receiver.close());
  return receiver;
}

/** Tests make due what waits for a next try. */
const hurry = () => db.database.query('update deliveries set due_at = now() where dead_at is null');

function start(options: { smtpPort?: number; allowedRanges?: readonly string[] } = {}): Notifier {
  const { smtpPort, allowedRanges = ['127.0.0.0/8'] } = options;
  const common = { database: db.database, clock: systemClock, log: captured.log };
  const smtp = smtpPort === undefined ? undefined : { host: '127.0.0.1', port: smtpPort, sender: 'plinth@example.com' };
  const mailer = createMailer({ ...common, smtp, key: new Secret(randomBytes(32)) });
  const egress = createEgress({ allowedRanges });
  const notifier = createNotifier({ ...common, secrets: opened.secrets, metrics, mailer, egress });
  endings.push(
    () => notifier.stop(),
    () => mailer.stop(),
  );
  return notifier;
}

/** An organization secret with this value, by its name. */
async function secret(value: string): Promise<string> {
  const name = `s-${randomBytes(6).toString('hex')}`;
  await opened.secrets.set(organization, name, new Secret(value), 'ada');
  return name;
}

const orderTo = (door: Order['door'], more: Partial<Order['message']> = {}, mostPerHour = 60): Order => ({
  door,
  mostPerHour,
  message: {
    event: 'degraded',
    says: ['degraded'],
    at: '2026-11-22T10:00:00.000Z',
    environment: 'production',
    team: 'shop',
    project: 'web',
    revision: 'a'.repeat(40),
    phase: 'applied',
    health: 'degraded',
    summary: 'shop/web in production is degraded',
    details: ['Deployment/web: 0 of 2 pods are ready'],
    changes: 1,
    url: 'https://plinth.example.com/p',
    ...more,
  },
});

async function place(notifier: Notifier, ...orders: readonly Order[]): Promise<void> {
  await db.database.transaction((tx) => notifier.order(tx, orders));
  notifier.wake();
}

const listed = () => listDeliveries(db.database, 'production', 100);
const dead = () => expect.poll(async () => (await listed()).filter(({ dueAt }) => dueAt === null), soon);
const waiting = async () => (await db.database.query('select id from deliveries where dead_at is null')).rowCount;
const nothingWaits = () => expect.poll(waiting, soon).toBe(0);
async function outcomes(): Promise<Record<string, number>> {
  const { values } = await metrics.deliveries.get();
  return Object.fromEntries(values.map(({ labels, value }) => [`${labels.kind} ${labels.outcome}`, value]));
}

describe('webhook', () => {
  test('the message arrives as its schema says, with id, event and signature over its very bytes', async () => {
    const receiver = await serve();
    const url = await secret(`${receiver.url}/hook?token=t0ken`);
    const key = await secret('the key');
    const notifier = start();
    await place(notifier, orderTo({ kind: 'webhook', url, key }));
    await nothingWaits();
    const [came] = receiver.received;
    expect(receiver.received).toHaveLength(1);
    expect(came?.path).toBe('/hook?token=t0ken');
    const message = messageSchema.parse(JSON.parse(came?.body ?? ''));
    expect(message).toEqual({
      schema: 'plinth.dev/notification/v1',
      id: expect.stringMatching(/^dlv_[0-9a-z]{26}$/),
      ...orderTo({ kind: 'webhook', url }).message,
      counts: null,
      projects: null,
    });
    expect(came?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-plinth-delivery': message.id,
      'x-plinth-event': 'degraded',
      'x-plinth-signature-256': `sha256=${createHmac('sha256', 'the key')
        .update(came?.body ?? '')
        .digest('hex')}`,
    });
    await expect.poll(outcomes, soon).toEqual({ 'webhook sent': 1 });
  });

  test('without a key nothing is signed; with a key that is not there nothing is sent', async () => {
    const receiver = await serve();
    const url = await secret(receiver.url);
    const notifier = start();
    await place(notifier, orderTo({ kind: 'webhook', url }));
    await nothingWaits();
    expect(receiver.received[0]?.headers).not.toHaveProperty('x-plinth-signature-256');
    await place(notifier, orderTo({ kind: 'webhook', url, key: 'not-there' }));
    await expect
      .poll(listed, soon)
      .toMatchObject([{ reason: 'there is no organization secret not-there', attempts: 1 }]);
    expect(receiver.received).toHaveLength(1);
  });

  test('what a rolled back transaction ordered is not sent', async () => {
    const notifier = start();
    const rolledBack = db.database.transaction(async (tx) => {
      await notifier.order(tx, [orderTo({ kind: 'slack', url: 'any' })]);
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await waiting()).toBe(0);
  });
});

describe('Slack', () => {
  test('the payload is the one of incoming webhooks, and mentions nobody whatever a reason holds', async () => {
    const receiver = await serve();
    const url = await secret(`${receiver.url}/services/T0/B0/x`);
    const details = ['<!channel> <@U123> <https://evil.test|click> @all *loud*'];
    await place(start(), orderTo({ kind: 'slack', url }, { details }));
    await nothingWaits();
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toEqual({
      text: 'shop/web in production is degraded',
      attachments: [
        {
          color: '#d1242f',
          fallback: 'shop/web in production is degraded',
          text: '• &lt;!channel&gt; &lt;@\u200BU123&gt; &lt;https://evil.test|click&gt; @\u200Ball *\u200Bloud*\u200B\n<https://plinth.example.com/p|Open in Plinth>',
        },
      ],
    });
    expect(receiver.received[0]?.headers).not.toHaveProperty('x-plinth-delivery');
  });
});

describe('mail', () => {
  test('each address gets one, by the outbox of mails', async () => {
    const server = await startSmtpServer();
    endings.push(() => server.close());
    await place(
      start({ smtpPort: server.port }),
      orderTo({ kind: 'mail', to: ['ada@example.com', 'bob@example.com'] }),
    );
    await expect
      .poll(() => server.mails.map(({ to }) => to[0]).sort(), soon)
      .toEqual(['ada@example.com', 'bob@example.com']);
    expect(server.mails[0]?.raw).toContain('Subject: [Plinth] shop/web in production is degraded\r\n');
    expect(server.mails[0]?.body).toBe(
      [
        'shop/web in production is degraded',
        '',
        '- Deployment/web: 0 of 2 pods are ready',
        '',
        `Seen at 2026-11-22T10:00:00.000Z, revision ${'a'.repeat(40)}.`,
        'https://plinth.example.com/p',
        '',
        'You get this because environment.yaml of production says so under notify.',
      ].join('\n'),
    );
    await nothingWaits();
  });

  test('where no mail can be sent, it is given up and says why', async () => {
    await place(start(), orderTo({ kind: 'mail', to: ['ada@example.com'] }));
    await dead().toMatchObject([{ kind: 'mail', to: ['ada@example.com'], attempts: 1 }]);
  });
});

describe('when it is not taken', () => {
  test('it is tried again with the same id and bytes until it is', async () => {
    const says = [503, 500, 429, 408];
    const receiver = await serve((_, number) => ({ status: says[number - 1] ?? 204 }));
    const url = await secret(receiver.url);
    const notifier = start();
    await place(notifier, orderTo({ kind: 'webhook', url }));
    await expect
      .poll(async () => {
        await hurry();
        notifier.wake();
        return waiting();
      }, soon)
      .toBe(0);
    expect(receiver.received.length).toBeGreaterThanOrEqual(5);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers['x-plinth-delivery'])).size).toBe(1);
  });

  test('a wait that the receiver asks for is kept', async () => {
    const receiver = await serve(() => ({ status: 429, headers: { 'retry-after': '1800' } }));
    const url = await secret(receiver.url);
    await place(start(), orderTo({ kind: 'webhook', url }));
    await expect.poll(listed, soon).toMatchObject([{ attempts: 1, reason: `127.0.0.1:${receiver.port} answers 429` }]);
    const { rows } = await db.database.query<{ s: number }>(
      'select extract(epoch from due_at - created_at)::float8 as s from deliveries',
    );
    expect(rows[0]?.s).toBeGreaterThanOrEqual(1799);
  });

  test.each([
    [404, 'no_service', ' (no_service)'],
    [410, 'see https://secret.test/T0KEN', ''],
    [302, '', ', and redirections are not followed'],
  ])('%i is final, and stays to be seen', async (status, body, told) => {
    const receiver = await serve(() => ({ status, body, headers: { location: 'http://127.0.0.1:1/' } }));
    const url = await secret(`${receiver.url}/hook/T0KEN`);
    await place(start(), orderTo({ kind: 'slack', url }));
    await dead().toMatchObject([
      { kind: 'slack', to: [url], attempts: 1, reason: `127.0.0.1:${receiver.port} answers ${status}${told}` },
    ] satisfies Partial<DeliveryView>[]);
    expect(captured.lines().filter(({ level }) => level === 'error')).toMatchObject([
      { msg: 'a notification was given up', reason: `127.0.0.1:${receiver.port} answers ${status}${told}` },
    ]);
    expect(captured.text()).not.toContain('T0KEN');
    expect(receiver.received).toHaveLength(1);
  });

  test('after its time it is given up, with what was wrong the last time', async () => {
    const receiver = await serve(() => ({ status: 500 }));
    const url = await secret(receiver.url);
    const notifier = start();
    await place(notifier, orderTo({ kind: 'webhook', url }));
    const reason = `127.0.0.1:${receiver.port} answers 500`;
    await expect.poll(listed, soon).toMatchObject([{ reason }]);
    await db.database.query('update deliveries set end_at = now(), due_at = now()');
    notifier.wake();
    await dead().toMatchObject([{ reason: `it could not be sent within a day: ${reason}` }]);
    await expect.poll(outcomes, soon).toMatchObject({ 'webhook given_up': 1 });
  });

  test('a private address is refused, and neither log nor table has more of it than the host', async () => {
    const receiver = await serve();
    const url = await secret(`${receiver.url}/T0KEN?key=T0KEN`);
    await place(start({ allowedRanges: [] }), orderTo({ kind: 'webhook', url }));
    await dead().toMatchObject([
      {
        reason: `127.0.0.1:${receiver.port} is an address of this network, which is not asked; EGRESS_ALLOWED_RANGES can allow it`,
      },
    ]);
    expect(receiver.received).toEqual([]);
    expect(captured.text()).not.toContain('T0KEN');
    const { rows } = await db.database.query('select d::text from deliveries d');
    expect(JSON.stringify(rows)).not.toContain('T0KEN');
  });

  test('one that does not answer holds up no other', async () => {
    const silent = await serve(() => undefined);
    const good = await serve();
    const notifier = start();
    const away = await secret(silent.url);
    await place(notifier, ...Array.from({ length: 30 }, () => orderTo({ kind: 'webhook', url: away })));
    await expect.poll(() => silent.received.length, soon).toBe(3);
    await place(notifier, orderTo({ kind: 'webhook', url: await secret(good.url) }));
    await expect.poll(() => good.received.length, soon).toBe(1);
    expect(silent.received).toHaveLength(3);
    await silent.close();
  });
});

describe('limits', () => {
  test('beyond the most of an hour they are summed up in one, and the next hour begins with it', async () => {
    const receiver = await serve();
    const url = await secret(receiver.url);
    const door = { kind: 'webhook', url } as const;
    const notifier = start();
    for (const project of ['a', 'b', 'c', 'd', 'e', 'e'])
      await place(notifier, orderTo(door, { project, event: project === 'e' ? 'failed' : 'degraded' }, 3));
    await expect.poll(() => receiver.received.length, soon).toBe(3);
    await expect.poll(waiting, soon).toBe(1);
    const { rows } = await db.database.query<{ s: number }>(
      'select extract(epoch from due_at - created_at)::float8 as s from deliveries',
    );
    expect(rows).toHaveLength(1);
    expect(rows[0]?.s).toBeGreaterThan(3590);
    await hurry();
    notifier.wake();
    await nothingWaits();
    expect(messageSchema.parse(JSON.parse(receiver.received[3]?.body ?? ''))).toMatchObject({
      event: 'summary',
      team: null,
      project: null,
      summary: '3 more in production within the last hour: 2 × failed, 1 × degraded',
      details: ['About shop/d, shop/e'],
      changes: 3,
      counts: { degraded: 1, failed: 2 },
      projects: ['shop/d', 'shop/e'],
    });
    for (const project of ['f', 'g', 'h']) await place(notifier, orderTo(door, { project }, 3));
    await expect.poll(() => receiver.received.length, soon).toBe(6);
    await expect.poll(outcomes, soon).toEqual({ 'webhook sent': 6, 'webhook held_back': 4 });
  });

  test('each target has its own', async () => {
    const receiver = await serve();
    const [one, two] = [await secret(receiver.url), await secret(receiver.url)];
    const notifier = start();
    for (const url of [one, two, one, two]) await place(notifier, orderTo({ kind: 'webhook', url }, {}, 1));
    await expect.poll(() => receiver.received.length, soon).toBe(2);
    await expect.poll(waiting, soon).toBe(2);
  });
});

describe('at least once', () => {
  test('what a killed process was sending is sent by the next one, with the same id', async () => {
    let silent = true;
    const receiver = await serve(() => (silent ? undefined : { status: 200 }));
    const { host, port, user, password, database } = db.connection;
    const connection = JSON.stringify({ host, port, user, password: password.reveal(), database });
    const order = orderTo({ kind: 'webhook', url: await secret(receiver.url) });
    const script = new URL('./notifier.process.ts', import.meta.url);
    const child = startProcess(script, [connection, dataDirectory, JSON.stringify(order)]);
    expect(await child.line()).toBe('stored');
    await expect.poll(() => receiver.received.length, soon).toBe(1);
    await child.kill('SIGKILL');
    silent = false;
    expect(await waiting()).toBe(1);
    await hurry(); // as if its lease had ended
    start();
    await nothingWaits();
    const ids = receiver.received.map(({ headers }) => headers['x-plinth-delivery']);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
  });

  test('several replicas share what there is: each is sent once', async () => {
    const receiver = await serve();
    const notifiers = [start(), start(), start()];
    const urls = await Promise.all(Array.from({ length: 10 }, () => secret(receiver.url)));
    await Promise.all(
      urls.flatMap((url) =>
        notifiers.map((notifier) => place(notifier, ...[1, 2].map(() => orderTo({ kind: 'webhook', url })))),
      ),
    );
    await nothingWaits();
    const ids = receiver.received.map(({ headers }) => headers['x-plinth-delivery']);
    expect(ids).toHaveLength(60);
    expect(new Set(ids).size).toBe(60);
  });
});
