import { describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createLanes, type Lane } from '#runtime/kubernetes/lanes.ts';

/** Lanes on a clock that a test moves, and the names of requests in the order in which they began. */
function setUp(most = 64) {
  let nowMs = 0;
  const lanes = createLanes({ clock: { ...systemClock, monotonicMs: () => nowMs }, most });
  const begun: string[] = [];
  const ask = (name: string, lane: Lane, signal?: AbortSignal) => {
    const place = lanes.enter(lane, signal);
    if (place === undefined) begun.push(name);
    else void place.then(() => begun.push(name)).catch(() => {});
    return place;
  };
  const fill = (lane: Lane, count: number) => {
    for (let i = 0; i < count; i++) ask(`${lane} ${i}`, lane);
  };
  /** As many requests as places, again and again, each of which takes `tookMs`. */
  const load = (rounds: number, tookMs: number, outcome: 'answered' | 'throttled' = 'answered') => {
    for (let round = 0; round < rounds; round++) {
      const places = lanes.limit();
      for (let i = 0; i < places; i++) lanes.enter('bulk');
      void lanes.enter('bulk'); // One more than fits: the limit is what holds it back.
      nowMs += tookMs;
      for (let i = 0; i <= places; i++) lanes.leave('apply', tookMs, outcome);
    }
  };
  const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { lanes, begun, ask, fill, load, tick };
}

describe('the two lanes', () => {
  test('urgent requests start although bulk ones fill every place', () => {
    const { lanes, begun, ask, fill } = setUp();
    fill('bulk', lanes.limit() + 100);
    expect(begun).toHaveLength(lanes.limit());
    ask('heal', 'urgent');
    expect(begun.at(-1)).toBe('heal');
  });

  test('urgent requests go first when places get free', async () => {
    const { lanes, begun, ask, fill, tick } = setUp();
    fill('bulk', lanes.limit());
    fill('urgent', 4);
    ask('late bulk', 'bulk');
    ask('late heal', 'urgent');
    expect(begun).not.toContain('late heal');
    lanes.leave('apply', 5, 'answered');
    await tick();
    expect(begun.at(-1)).toBe('late heal');
    for (let i = 0; i < 6; i++) lanes.leave('apply', 5, 'answered');
    await tick();
    expect(begun.at(-1)).toBe('late bulk');
  });

  test('who gives up while waiting leaves the queue', async () => {
    const { lanes, begun, ask, fill, tick } = setUp();
    fill('bulk', lanes.limit());
    const giveUp = new AbortController();
    const place = ask('given up', 'bulk', giveUp.signal);
    ask('next', 'bulk');
    giveUp.abort(new Error('enough'));
    await expect(place).rejects.toThrow('enough');
    lanes.leave('apply', 5, 'answered');
    await tick();
    expect(begun.slice(-1)).toEqual(['next']);
    await expect(ask('dead', 'bulk', giveUp.signal)).rejects.toThrow('enough');
  });
});

describe('how many at once', () => {
  test('more and more while the server keeps up, up to the bound', () => {
    const { lanes, load } = setUp();
    const before = lanes.limit();
    load(5, 10);
    expect(lanes.limit()).toBeGreaterThan(before);
    load(100, 10);
    expect(lanes.limit()).toBe(60);
  });

  test('half at once when the server asks for fewer, once per congestion', () => {
    const { lanes, load } = setUp();
    load(100, 10);
    load(1, 10, 'throttled');
    expect(lanes.limit()).toBe(30);
  });

  test('fewer when requests take much longer than they used to', () => {
    const { lanes, load } = setUp();
    load(100, 10);
    load(3, 400);
    expect(lanes.limit()).toBeLessThan(60);
    load(50, 400);
    expect(lanes.limit()).toBeLessThan(20);
    expect(lanes.limit()).toBeGreaterThanOrEqual(2);
  });

  test('no more than keep the server busy when everybody has to wait, and more again afterwards', () => {
    const { lanes, load } = setUp();
    load(100, 5);
    load(50, 20);
    expect(lanes.limit()).toBe(12);
    load(100, 5);
    expect(lanes.limit()).toBe(60);
  });

  test('not fewer when requests were always that slow', () => {
    const { lanes, load } = setUp();
    load(100, 400);
    expect(lanes.limit()).toBe(60);
  });

  test('no more than asked for while nobody waits', () => {
    const { lanes } = setUp();
    const before = lanes.limit();
    for (let i = 0; i < 1000; i++) {
      lanes.enter('bulk');
      lanes.leave('apply', 10, 'answered');
    }
    expect(lanes.limit()).toBe(before);
  });
});
