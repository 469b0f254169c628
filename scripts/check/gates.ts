import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findStalePages } from '../reference/pages.ts';
import { commandGate } from './command.ts';
import { findFormFaults } from './form.ts';
import type { Gate } from './gate.ts';
import { findCircles, findRoomFaults } from './rooms.ts';
import { readSources, repository } from './source.ts';

const present = (folder: string) => existsSync(join(repository, folder));
/** The house and what builds and proves it. Infra and stacks come with a later part. */
const house = ['app', 'environments', 'synth', 'infra', 'stacks', 'scripts'].filter(present);

/** Everything that `npm run check` asks, and `npm test` before it runs the tests. */
export const gates: readonly Gate[] = [
  commandGate('types', 'tsc'),
  commandGate('lint and format', 'biome', 'ci', '--colors=off', '--diagnostic-level=warn', '--error-on-warnings', '.'),
  {
    name: 'rooms, circles and form',
    run: async () => {
      const files = readSources([...house, 'tests']);
      return [...findRoomFaults(files), ...findCircles(files), ...findFormFaults(files)];
    },
  },
  { name: 'generated references', run: findStalePages },
  commandGate('dead exports', 'knip', '--no-progress'),
  commandGate('duplicate code', 'jscpd', ...house),
];
