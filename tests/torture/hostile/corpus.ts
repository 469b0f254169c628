import { bulkCases } from './bulk.ts';
import { packCases } from './packs.ts';
import { pathCases } from './paths.ts';
import { createPlanter, type HostileCase, type Planted } from './planter.ts';
import { yamlCases } from './yaml.ts';

export type { HostileCase, Planted };

/** Everything that a hostile repository or a hostile client may bring. */
export const hostileCases: readonly HostileCase[] = [...pathCases, ...yamlCases, ...bulkCases, ...packCases];

/**
 * Writes a case's objects into a plain bare repository, upon `tip`, and says what is to be pushed. Of a case that ends
 * as a commit it is what a remote would hold: point its branch there.
 */
export const plant = (directory: string, tip: string, one: HostileCase): Planted =>
  one.plant(createPlanter(directory, tip));
