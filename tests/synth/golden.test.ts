import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { guardFindings } from '#synth/guard.ts';
import { digestOf, parseManifests } from '#synth/render.ts';
import { goldens } from './golden.ts';

/** `UPDATE_GOLDEN=1 npx vitest run tests/synth/golden.test.ts` writes what render gives now; look at the difference. */
const updating = process.env.UPDATE_GOLDEN === '1';

describe('golden projects', () => {
  test('there are at least a dozen', () => expect(goldens().length).toBeGreaterThanOrEqual(12));

  for (const golden of goldens()) {
    const { name, rendered, environment, key } = golden;

    test(`${name} renders to the bytes in Git`, () => {
      if (updating) writeFileSync(golden.manifestsPath, rendered.manifests);
      else expect(rendered.manifests).toBe(golden.manifests);
    });

    test(`${name}: digest, count and namespace are those of the bytes`, () => {
      const objects = parseManifests(rendered.manifests);
      expect(rendered.manifestsDigest).toBe(digestOf(rendered.manifests));
      expect(rendered.objects).toBe(objects.length);
      expect(new Set(objects.map((object) => object.metadata.namespace ?? object.metadata.name))).toEqual(
        new Set([rendered.namespace]),
      );
      expect(guardFindings(objects, environment, key)).toEqual([]);
    });
  }
});
