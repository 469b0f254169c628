import { expect, test } from 'vitest';
import { parseManifests } from '#environments/manifests.ts';
import { refusedBecause } from '#runtime/kubernetes/guard.ts';
import { keyOf, objectText } from '#runtime/runtime.ts';
import { goldens } from '../../synth/golden.ts';

test.each(goldens())('the apply door lets $name in', ({ environment, rendered }) => {
  const objects = parseManifests(rendered.manifests);
  const namespace = objects.find(({ kind }) => kind === 'Namespace')!.metadata.name;
  const refused = objects.flatMap((object) => {
    const why = refusedBecause(object, { namespace, podSecurity: environment.podSecurity, objects });
    return why === undefined ? [] : [`${objectText(keyOf(object))}: ${why}`];
  });
  expect(refused).toEqual([]);
});
