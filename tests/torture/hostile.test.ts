import { test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import { hostileCases } from './hostile/corpus.ts';
import { openHostile } from './hostile.ts';
import { newSeed } from './stand/random.ts';
import { expectSample } from './stand/sample.ts';

const step = 14;

/** The whole of it is `npm run torture -- hostile`; every fourteenth case is pushed here, from another one on each time. */
describeWithCluster('torture: a hostile repository', (cluster) => {
  test('a sample', async () => {
    const first = newSeed() % step;
    const cases = hostileCases.filter(({ heavy }) => heavy !== true).filter((_, index) => index % step === first);
    await expectSample('hostile', {
      fixed: cases.length,
      fresh: 0,
      parallel: 1,
      open: () => openHostile(cluster(), cases),
    });
  }, 180_000);
});
