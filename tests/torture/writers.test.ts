import { test } from 'vitest';
import { expectSample } from './stand/sample.ts';
import { openWriters } from './writers.ts';

/** The whole of it is `npm run torture -- writers`. */
test(
  'a sample of 50 writers on one branch',
  () => expectSample('writers', { fixed: 100, fresh: 50, parallel: 50, open: openWriters }),
  180_000,
);
