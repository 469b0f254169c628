import { test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import { openCrash } from './crash.ts';
import { expectSample } from './stand/sample.ts';

/** The whole of it is `npm run torture -- crash`; here nothing depends on how busy the machine is. */
describeWithCluster('torture: a control plane that is ended at any moment', (cluster) => {
  test(
    'a sample',
    () =>
      expectSample('crash', {
        fixed: 5,
        fresh: 0,
        parallel: 1,
        open: () => openCrash(cluster(), { stopMs: 5_000, mostPoints: 3, mostMs: 30_000 }),
      }),
    180_000,
  );
});
