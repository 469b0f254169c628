import { expect, test } from 'vitest';
import { createNoneRuntime } from '#runtime/none.ts';

const fix = 'Run `npm run cluster`.';
const none = createNoneRuntime({ environment: 'local', fix });
const key = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'a', name: 'b' };
const message = `Environment local has runtime none: Plinth writes Git only and sees no objects there. ${fix}`;

test('sees nothing and says why', async () => {
  none.start({ changed: () => {}, state: () => {} });
  expect(none.observed('a')).toEqual([]);
  expect(none.state()).toEqual({
    connected: false,
    complete: false,
    reason: `environment local has runtime none. ${fix}`,
  });
  await none.stop();
});

test('refuses everything else', async () => {
  await expect(none.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'b' } })).rejects.toThrow(message);
  await expect(none.remove({ key, uid: 'u' })).rejects.toThrow(message);
  await expect(none.read(key)).rejects.toThrow(message);
  const asked = {
    namespace: 'a',
    workload: 'b',
    container: 'c',
    follow: false,
    tailLines: 1,
    signal: new AbortController().signal,
  };
  await expect(none.logs(asked)).rejects.toThrow(message);
});
