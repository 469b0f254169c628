import { test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import { openFaults } from './faults.ts';
import { expectSample } from './stand/sample.ts';

/** The whole of it is `npm run torture -- faults`; here nothing depends on how busy the machine is. */
describeWithCluster('torture: faults before the API server', (cluster) => {
  test(
    'a sample',
    () => expectSample('faults', { fixed: 5, fresh: 3, parallel: 4, open: () => openFaults(cluster(), 30_000) }),
    180_000,
  );
});
