import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { HostKind } from '#git/git-host.ts';
import { mostWebhookBytes, readWebhook, type WebhookRequest } from '#git/webhook.ts';

const secret = new Secret('a secret that hosts know');
const now = new Date('2026-11-22T10:00:00Z');
const sha = '0123456789abcdef0123456789abcdef01234567';
const hmac = (body: Buffer, key: string | Buffer = secret.reveal()) => createHmac('sha256', key).update(body);
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

type Sent = Pick<WebhookRequest, 'headers' | 'body'>;

/** Deliveries as the hosts document them, signed. */
const sent = {
  github: (event: string, value: unknown, body = json(value)): Sent => ({
    headers: {
      'content-type': 'application/json',
      'x-github-event': event,
      'x-hub-signature-256': `sha256=${hmac(body).digest('hex')}`,
    },
    body,
  }),
  gitea: (event: string, value: unknown, body = json(value)): Sent => ({
    headers: {
      'content-type': 'application/json',
      'x-github-event': event,
      'x-gitea-event': event,
      'x-gitea-signature': hmac(body).digest('hex'),
      'x-hub-signature-256': `sha256=${hmac(body).digest('hex')}`,
    },
    body,
  }),
  gitlab: (event: string, value: unknown, body = json(value)): Sent => ({
    headers: { 'content-type': 'application/json', 'x-gitlab-event': event, 'x-gitlab-token': secret.reveal() },
    body,
  }),
  bitbucket: (event: string, value: unknown, body = json(value)): Sent => ({
    headers: {
      'content-type': 'application/json',
      'x-event-key': event,
      'x-hub-signature': `sha256=${hmac(body).digest('hex')}`,
    },
    body,
  }),
};

const read = (delivery: Sent, more: Partial<WebhookRequest> = {}) => readWebhook({ ...delivery, secret, now, ...more });
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (Fault.is(error)) return error.code;
    throw error;
  }
  return 'taken';
};

const push = { ref: 'refs/heads/main', after: sha };
const named = { repository: { full_name: 'acme/state' } };

describe('what it says', () => {
  test.each<[HostKind, string, Sent, object]>([
    [
      'github',
      'push',
      sent.github('push', { ...push, ...named }),
      { kind: 'push', repository: 'acme/state', ref: 'refs/heads/main', after: sha },
    ],
    [
      'github',
      'ping',
      sent.github('ping', { zen: 'x', ...named }),
      { kind: 'ping', repository: 'acme/state', ref: undefined, after: undefined },
    ],
    [
      'github',
      'pull_request',
      sent.github('pull_request', named),
      { kind: 'pull-request', repository: 'acme/state', ref: undefined, after: undefined },
    ],
    [
      'github',
      'star',
      sent.github('star', {}),
      { kind: 'other', repository: undefined, ref: undefined, after: undefined },
    ],
    [
      'github',
      'a branch removed',
      sent.github('push', { ...push, ...named, after: '0'.repeat(40) }),
      { kind: 'push', repository: 'acme/state', ref: 'refs/heads/main', after: undefined },
    ],
    [
      'gitea',
      'push',
      sent.gitea('push', { ...push, ...named }),
      { kind: 'push', repository: 'acme/state', ref: 'refs/heads/main', after: sha },
    ],
    [
      'gitlab',
      'push',
      sent.gitlab('Push Hook', { ...push, project: { path_with_namespace: 'acme/platform/state' } }),
      { kind: 'push', repository: 'acme/platform/state', ref: 'refs/heads/main', after: sha },
    ],
    [
      'gitlab',
      'merge request',
      sent.gitlab('Merge Request Hook', {}),
      { kind: 'pull-request', repository: undefined, ref: undefined, after: undefined },
    ],
    [
      'gitlab',
      'a name of objects',
      sent.gitlab('constructor', {}),
      { kind: 'other', repository: undefined, ref: undefined, after: undefined },
    ],
    [
      'bitbucket',
      'push',
      sent.bitbucket('repo:push', {
        ...named,
        push: { changes: [{ new: { type: 'branch', name: 'main', target: { hash: sha } } }] },
      }),
      { kind: 'push', repository: 'acme/state', ref: 'refs/heads/main', after: sha },
    ],
    [
      'bitbucket',
      'push at Data Center',
      sent.bitbucket('repo:refs_changed', {
        repository: { slug: 'state', project: { key: 'ACME' } },
        changes: [{ ref: { id: 'refs/heads/main' }, toHash: sha }],
      }),
      { kind: 'push', repository: 'ACME/state', ref: 'refs/heads/main', after: sha },
    ],
    [
      'bitbucket',
      'ping',
      sent.bitbucket('diagnostics:ping', { test: true }),
      { kind: 'ping', repository: undefined, ref: undefined, after: undefined },
    ],
    [
      'bitbucket',
      'pull request',
      sent.bitbucket('pullrequest:created', named),
      { kind: 'pull-request', repository: 'acme/state', ref: undefined, after: undefined },
    ],
  ])('%s: %s', (provider, _, delivery, wanted) => {
    expect(read(delivery, { provider })).toEqual({ provider, ...wanted });
    expect(read(delivery)).toEqual({ provider, ...wanted });
  });

  test('GitHub may send a form; it is signed as it was sent', () => {
    const body = Buffer.from(`payload=${encodeURIComponent(JSON.stringify({ ...push, ...named }))}`);
    const delivery = sent.github('push', undefined, body);
    const form = { ...delivery, headers: { ...delivery.headers, 'content-type': 'application/x-www-form-urlencoded' } };
    expect(read(form)).toMatchObject({ kind: 'push', repository: 'acme/state', after: sha });
    expect(codeOf(() => read({ ...form, body: Buffer.from(`${body}&x=1`) }))).toBe('WEBHOOK_REFUSED');
  });

  test('fields of any other form are nothing', () => {
    for (const value of [
      null,
      7,
      'x',
      [],
      { repository: 7, ref: {}, after: [] },
      { ref: 'x'.repeat(301), repository: { full_name: null } },
    ])
      expect(read(sent.github('push', value))).toEqual({
        provider: 'github',
        kind: 'push',
        repository: undefined,
        ref: undefined,
        after: undefined,
      });
  });
});

describe('what is not taken', () => {
  const good = { github: 'push', gitea: 'push', gitlab: 'Push Hook', bitbucket: 'repo:push' } as const;
  test.each(Object.entries(good) as [HostKind, string][])(
    '%s: without its proof, or with another one',
    (provider, event) => {
      const delivery = sent[provider](event, { ...push, ...named });
      expect(codeOf(() => read(delivery, { provider }))).toBe('taken');
      for (const header of ['x-hub-signature-256', 'x-gitea-signature', 'x-gitlab-token', 'x-hub-signature']) {
        const value = (delivery.headers as Record<string, string | undefined>)[header];
        if (value === undefined || (provider === 'gitea' && header.startsWith('x-hub'))) continue;
        const wrong = [
          undefined,
          '',
          value.toUpperCase(),
          `${value}0`,
          value.slice(0, -1),
          `${value}, ${value}`,
          `sha1=${value}`,
          value.replace('sha256=', ''),
        ];
        for (const each of wrong.filter((one) => one !== value))
          expect(
            codeOf(() => read({ ...delivery, headers: { ...delivery.headers, [header]: each } }, { provider })),
          ).toBe('WEBHOOK_REFUSED');
      }
      expect(codeOf(() => read(delivery, { provider, secret: new Secret('another') }))).toBe('WEBHOOK_REFUSED');
    },
  );

  test('one host’s proof is none of another', () => {
    for (const [provider, event] of Object.entries(good) as [HostKind, string][])
      for (const other of Object.keys(good) as HostKind[]) {
        const taken = other === provider || (provider === 'gitea' && other === 'github');
        expect([provider, other, codeOf(() => read(sent[provider](event, push), { provider: other }))]).toEqual([
          provider,
          other,
          taken ? 'taken' : 'WEBHOOK_REFUSED',
        ]);
      }
    expect(codeOf(() => read({ headers: {}, body: json(push) }))).toBe('WEBHOOK_REFUSED');
  });

  test('every bit of the body counts', () => {
    const delivery = sent.github('push', { ...push, ...named });
    fc.assert(
      fc.property(fc.nat(delivery.body.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const body = Buffer.from(delivery.body);
        body[at]! ^= mask;
        expect(codeOf(() => read({ ...delivery, body }))).toBe('WEBHOOK_REFUSED');
      }),
    );
  });

  test('too large is not even looked at; signed but malformed is said so', () => {
    expect(codeOf(() => read(sent.github('push', undefined, Buffer.alloc(mostWebhookBytes + 1))))).toBe(
      'BODY_TOO_LARGE',
    );
    for (const body of ['', '{', 'null null', '\ufffe', 'payload={}'])
      expect(codeOf(() => read(sent.github('push', undefined, Buffer.from(body))))).toBe('BODY_INVALID');
    expect(codeOf(() => read(sent.github('push', undefined, Buffer.from([0xff, 0xfe]))))).toBe('BODY_INVALID');
    expect(codeOf(() => read(sent.github('push', undefined, Buffer.from('['.repeat(200_000)))))).toBe('BODY_INVALID');
    expect(
      codeOf(() => read(sent.github('push', undefined, Buffer.from(`${'['.repeat(5000)}${']'.repeat(5000)}`)))),
    ).toBe('taken');
  });
});

describe('signing tokens of GitLab', () => {
  const key = randomBytes(32);
  const token = new Secret(`whsec_${key.toString('base64')}`);
  const signed = (value: unknown, seconds = now.getTime() / 1000, id = 'msg-1'): Sent => {
    const body = json(value);
    const signature = createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest('base64');
    return {
      headers: {
        'content-type': 'application/json',
        'x-gitlab-event': 'Push Hook',
        'webhook-id': id,
        'webhook-timestamp': String(seconds),
        'webhook-signature': `v1,${signature}`,
      },
      body,
    };
  };

  test('the signature over id, time and body is taken, also as one of several', () => {
    expect(read(signed(push), { secret: token })).toMatchObject({ provider: 'gitlab', kind: 'push', after: sha });
    const { headers, body } = signed(push);
    const several = { headers: { ...headers, 'webhook-signature': `v1,AAAA ${headers['webhook-signature']}` }, body };
    expect(codeOf(() => read(several, { secret: token }))).toBe('taken');
  });

  test('an old one, one of another id or time, and the token itself are not', () => {
    const seconds = now.getTime() / 1000;
    const refused = (delivery: Sent) => expect(codeOf(() => read(delivery, { secret: token }))).toBe('WEBHOOK_REFUSED');
    refused(signed(push, seconds - 301));
    refused(signed(push, seconds + 301));
    const delivery = signed(push);
    refused({ ...delivery, headers: { ...delivery.headers, 'webhook-id': 'msg-2' } });
    refused({ ...delivery, headers: { ...delivery.headers, 'webhook-timestamp': String(seconds + 1) } });
    refused({ ...delivery, headers: { ...delivery.headers, 'webhook-timestamp': 'now' } });
    refused({ headers: { 'x-gitlab-event': 'Push Hook', 'x-gitlab-token': token.reveal() }, body: delivery.body });
  });
});
