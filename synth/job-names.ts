import { canonicalJson, digestOf, type Manifest } from './manifests.ts';
import { dependsOnAnnotation } from './parts/scope.ts';

/**
 * Gives each Job the digest of what it does as a part of its name, after patches: Kubernetes refuses to change a Job,
 * so a changed one is a new object, and an unchanged one never runs twice. Who waits for it waits for that name.
 */
export function nameJobs(objects: readonly Manifest[]): Manifest[] {
  const renamed = new Map(
    objects.flatMap((object) => {
      if (object.kind !== 'Job') return [];
      const digest = digestOf(canonicalJson(object.spec)).slice('sha256:'.length, 'sha256:'.length + 8);
      return [[object.metadata.name, `${object.metadata.name}-${digest}`] as const];
    }),
  );
  if (renamed.size === 0) return [...objects];
  return objects.map((object) => {
    const { metadata } = object;
    const waits = metadata.annotations?.[dependsOnAnnotation];
    const name = object.kind === 'Job' ? (renamed.get(metadata.name) ?? metadata.name) : metadata.name;
    if (waits === undefined) return { ...object, metadata: { ...metadata, name } };
    const names = waits.split(',').map((each) => renamed.get(each) ?? each);
    const annotations = { ...metadata.annotations, [dependsOnAnnotation]: names.sort().join(',') };
    return { ...object, metadata: { ...metadata, name, annotations } };
  });
}
