import { expect, test } from 'vitest';
import { createCallerCache, type Proven } from '#auth/caller-cache.ts';
import { systemClock } from '#base/clock.ts';
import type { Caller } from '#contract/caller.ts';
import { createNotices } from '#database/notices.ts';
import { administrator } from '#support/http.ts';

const caller: Caller = { ...administrator, credential: { kind: 'token', id: 'tok_1' } };
const proven: Proven = { caller, expiresAt: null };
/** Counts what is read; the database is whatever `answer` says. */
function remember(most?: number) {
  const notices = createNotices();
  const time = { ms: 1000 };
  const clock = { ...systemClock, monotonicMs: () => time.ms, now: () => new Date(time.ms) };
  const cache = createCallerCache({ notices, clock, ...(most === undefined ? {} : { most }) });
  const state = { reads: 0, answer: async (): Promise<Proven | undefined> => proven };
  const get = (proof = 'p') =>
    cache.get(proof, () => {
      state.reads += 1;
      return state.answer();
    });
  notices.heard(time.ms);
  return { notices, time, state, get };
}

test('a caller is read once, until a notice names the caller or the credential', async () => {
  const { notices, state, get } = remember();
  for (let i = 0; i < 5; i++) expect(await get()).toBe(caller);
  expect(state.reads).toBe(1);
  for (const [payload, reads] of [
    ['usr_other', 1],
    [caller.id, 2],
    ['tok_1', 3],
    ['*', 4],
  ] as const) {
    notices.deliver('access', payload);
    await get();
    await get();
    expect(state.reads, payload).toBe(reads);
  }
  notices.missed();
  await get();
  expect(state.reads).toBe(5);
});

test('what nobody knows is not remembered', async () => {
  const { state, get } = remember();
  state.answer = async () => undefined;
  expect([await get(), await get(), state.reads]).toEqual([undefined, undefined, 2]);
  state.answer = async () => proven;
  expect(await get()).toBe(caller);
});

test('5 s after the database was last heard nothing is answered from memory; when it fails, so does the request', async () => {
  const { notices, time, state, get } = remember();
  await get();
  time.ms += 5_000;
  await get();
  expect(state.reads).toBe(1);
  time.ms += 1;
  await get();
  await get();
  expect(state.reads).toBe(3);
  state.answer = () => Promise.reject(new Error('no database'));
  await expect(get()).rejects.toThrow('no database');
  notices.heard(time.ms);
  state.answer = async () => proven;
  notices.missed();
  await get();
  await get();
  expect(state.reads).toBe(5);
});

test('what was read while a notice came is not remembered', async () => {
  const { notices, state, get } = remember();
  let go = () => {};
  state.answer = () =>
    new Promise((resolve) => {
      go = () => resolve(proven);
    });
  const reading = get();
  notices.deliver('access', 'usr_other');
  go();
  await reading;
  state.answer = async () => proven;
  await get();
  expect(state.reads).toBe(2);
});

test('it is read again after a minute, and ends with its proof', async () => {
  const { notices, time, state, get } = remember();
  await get();
  time.ms += 60_000;
  notices.heard(time.ms);
  await get();
  expect(state.reads).toBe(2);
  state.answer = async () => ({ caller, expiresAt: new Date(time.ms + 10) });
  await get('short');
  time.ms += 10;
  await get('short');
  expect(state.reads).toBe(4);
});

test('it has a bound', async () => {
  const { state, get } = remember(3);
  for (const proof of ['a', 'b', 'c', 'd']) await get(proof);
  for (const proof of ['b', 'c', 'd']) await get(proof);
  expect(state.reads).toBe(4);
  await get('a');
  expect(state.reads).toBe(5);
});
