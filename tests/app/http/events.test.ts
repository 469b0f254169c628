import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { type Clock, systemClock } from '#base/clock.ts';
import { defineRoute, type HandlersOf } from '#contract/route.ts';
import { mountRoutes } from '#http/route.ts';
import { administrator, startServer, type TestServer } from '#support/http.ts';

const routes = [
  defineRoute({
    name: 'watch',
    tag: 'Test',
    method: 'GET',
    path: '/watch',
    summary: '',
    permission: 'self:read',
    reach: 'personal',
    reply: { events: { tick: z.object({ n: z.int() }) } },
  }),
  defineRoute({
    name: 'text',
    tag: 'Test',
    method: 'GET',
    path: '/text',
    summary: '',
    permission: 'self:read',
    reach: 'personal',
    reply: { text: 'lines' },
  }),
] as const;

let server: TestServer;
afterEach(() => server.close());

/** What the handlers are told to do, and what they saw. */
interface Play {
  readonly events?: (
    signal: AbortSignal,
    lastId: string | undefined,
  ) => AsyncIterable<{ event: 'tick'; id?: string; data: { n: number } }>;
  readonly text?: (signal: AbortSignal) => AsyncIterable<string>;
}

async function serve(play: Play, clock: Clock = systemClock): Promise<void> {
  const handlers: HandlersOf<typeof routes> = {
    watch: async ({ request }) => ({ events: play.events!(request.signal, request.header('Last-Event-ID')) }),
    text: async ({ request }) => ({ text: play.text!(request.signal) }),
  };
  server = await startServer((app) =>
    mountRoutes(app, { routes, handlers, callerOf: async () => administrator, authorise: () => true, clock }),
  );
}

/** Never ends by itself; counts how often it was made and ended. */
function endless(counts: { made: number; ended: number }) {
  return async function* (signal: AbortSignal) {
    counts.made += 1;
    try {
      yield { event: 'tick' as const, data: { n: 1 } };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    } finally {
      counts.ended += 1;
    }
  };
}

async function readUntil(reply: Response, wanted: string): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of reply.body!) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(wanted)) break;
  }
  return text;
}

test('events arrive as they come, with name, id and data that the contract names', async () => {
  await serve({
    events: async function* (_signal, lastId) {
      yield { event: 'tick', id: '7', data: { n: Number(lastId), password: 'hunter2' } as { n: number } };
      yield { event: 'tick', data: { n: 2 } };
    },
  });
  const reply = await fetch(`${server.url}/watch`, { headers: { 'Last-Event-ID': '6' } });
  expect(reply.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(await reply.text()).toBe('retry: 2000\n\nid: 7\nevent: tick\ndata: {"n":6}\n\nevent: tick\ndata: {"n":2}\n\n');
});

test('the source ends when the reader leaves', async () => {
  const counts = { made: 0, ended: 0 };
  await serve({ events: endless(counts) });
  const leaving = new AbortController();
  const reply = await fetch(`${server.url}/watch`, { signal: leaving.signal });
  await readUntil(reply, 'data').finally(() => leaving.abort());
  await expect.poll(() => counts, { interval: 5 }).toEqual({ made: 1, ended: 1 });
});

test('the stream ends when the server stops', async () => {
  const counts = { made: 0, ended: 0 };
  await serve({ events: endless(counts) });
  const reply = await fetch(`${server.url}/watch`);
  const text = reply.text();
  await expect.poll(() => counts.made, { interval: 5 }).toBe(1);
  server.stop();
  expect(await text).toContain('data: {"n":1}');
  await expect.poll(() => counts.ended, { interval: 5 }).toBe(1);
});

test('a source that never answers does not keep the stream open', async () => {
  await serve({
    events: async function* () {
      yield { event: 'tick', data: { n: 1 } };
      await new Promise(() => {});
    },
  });
  const reply = await fetch(`${server.url}/watch`);
  const text = reply.text();
  await expect.poll(() => server.logged.length >= 0, { interval: 5 }).toBe(true);
  server.stop();
  expect(await text).toContain('retry: 2000');
});

test('heartbeats are comments', async () => {
  const counts = { made: 0, ended: 0 };
  let beats = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms, signal) => {
      if (ms !== 15_000) return systemClock.sleep(ms, signal);
      beats += 1;
      await systemClock.sleep(beats <= 2 ? 1 : ms, signal);
    },
  };
  await serve({ events: endless(counts) }, clock);
  const leaving = new AbortController();
  const reply = await fetch(`${server.url}/watch`, { signal: leaving.signal });
  const text = await readUntil(reply, ': still here\n\n: still here\n\n');
  leaving.abort();
  expect(text).toContain(': still here');
});

test('a reader that takes nothing between two heartbeats is cut off', async () => {
  let ended = false;
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => systemClock.sleep(ms === 15_000 ? 20 : ms, signal),
  };
  await serve(
    {
      events: async function* () {
        try {
          for (let n = 0; ; n++) yield { event: 'tick', id: 'x'.repeat(100_000), data: { n } };
        } finally {
          ended = true;
        }
      },
    },
    clock,
  );
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /watch HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.pause();
  await expect.poll(() => ended, { interval: 5 }).toBe(true);
  socket.destroy();
});

test('a reader that takes nothing slows the source down instead of filling memory', async () => {
  let made = 0;
  let ended = false;
  await serve({
    text: async function* () {
      try {
        for (; made < 100_000; made++) yield 'x'.repeat(10_000);
      } finally {
        ended = true;
      }
    },
  });
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /text HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.pause();
  let before = -1;
  await expect
    .poll(
      () => {
        const stopped = made > 0 && made === before;
        before = made;
        return stopped;
      },
      { interval: 20 },
    )
    .toBe(true);
  expect(made).toBeLessThan(100_000);
  socket.destroy();
  await expect.poll(() => ended, { interval: 5 }).toBe(true);
});

test('a stream that fails half-way is cut, so that nobody takes a part for the whole', async () => {
  let fail = () => {};
  const failing = new Promise<void>((resolve) => {
    fail = resolve;
  });
  await serve({
    text: async function* () {
      yield 'one\n';
      await failing;
      throw new Error('broken');
    },
  });
  const reply = await fetch(`${server.url}/text`);
  fail();
  await expect(reply.text()).rejects.toThrow();
  expect(server.logged.find(({ level }) => level === 'error')).toMatchObject({ err: { message: 'broken' } });
});
