import { test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import { openRaces } from './races.ts';
import { expectSample } from './stand/sample.ts';

/** The whole of it is `npm run torture -- races`; here nothing depends on how busy the machine is. */
describeWithCluster('torture: commits and reconciling in every order', (cluster) => {
  test(
    'a sample',
    () => expectSample('races', { fixed: 20, fresh: 20, parallel: 4, open: () => openRaces(cluster(), 15_000) }),
    180_000,
  );
});
