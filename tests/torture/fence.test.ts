import { test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import { openFence } from './fence.ts';
import { expectSample } from './stand/sample.ts';

/** The whole of it is `npm run torture -- fence`; here nothing depends on how busy the machine is. */
describeWithCluster('torture: mutated renders', (cluster) => {
  test(
    'a sample',
    () => expectSample('fence', { fixed: 27, fresh: 0, parallel: 2, open: () => openFence(cluster()) }),
    180_000,
  );
});
