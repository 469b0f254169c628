import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadEnvironment } from '#environments/load.ts';
import { dig, digList, digMap } from '#synth/dig.ts';
import { guardFindings } from '#synth/guard.ts';
import { type Manifest, parseManifests, render } from '#synth/render.ts';
import { arbitraryProject, shuffled } from './arbitrary-project.ts';
import { goldens } from './golden.ts';
import { templatesOf, violations } from './pod-security.ts';

const environment = loadEnvironment(
  'local',
  'apiVersion: plinth.dev/v1\nkind: Environment\ndomain: apps.localhost\nquota: { cpu: "100", memory: 200Gi }\n',
);
const key = { environment: 'local', team: 'atlas', project: 'shop' };
const renderOf = (spec: unknown) => render({ environment, key, spec: JSON.stringify(spec) });

describe('every valid spec', () => {
  test('renders, passes the guards, and every pod keeps Pod Security restricted', () => {
    fc.assert(
      fc.property(arbitraryProject, (spec) => {
        const objects = parseManifests(renderOf(spec).manifests);
        expect(guardFindings(objects, environment, key)).toEqual([]);
        for (const { template } of templatesOf(objects)) expect(violations(template)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  test('gives the same bytes in whatever order its keys stand', () => {
    fc.assert(
      fc.property(arbitraryProject, fc.nat(1000), (spec, seed) => {
        expect(renderOf(shuffled(spec, seed)).manifests).toBe(renderOf(spec).manifests);
      }),
      { numRuns: 80 },
    );
  });

  test('gives objects of different names whose references all lead somewhere', () => {
    fc.assert(
      fc.property(arbitraryProject, (spec) => {
        const rendered = renderOf(spec);
        const objects = parseManifests(rendered.manifests);
        const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
        expect(new Set(names).size).toBe(names.length);
        expect(danglingReferences(objects)).toEqual([]);
        expect(rendered.secrets.map(({ name }) => `Secret ${name}`).sort()).toEqual(
          names.filter((name) => name.startsWith('Secret ')).sort(),
        );
      }),
      { numRuns: 80 },
    );
  });
});

describe('golden projects', () => {
  for (const { name, rendered, environment: own } of goldens()) {
    const objects = parseManifests(rendered.manifests);
    test(`${name}: references all lead somewhere`, () => expect(danglingReferences(objects)).toEqual([]));
    if (own.podSecurity !== 'restricted') continue;
    test(`${name}: every pod keeps Pod Security restricted`, () => {
      for (const { template } of templatesOf(objects)) expect(violations(template)).toEqual([]);
    });
  }
});

test('the checker of Pod Security can fail', () => {
  const template = templatesOf(parseManifests(goldens()[2]!.rendered.manifests))[0]?.template;
  const changed = (change: (spec: Record<string, unknown>) => void) => {
    const copy = structuredClone(template) as { spec: Record<string, unknown> };
    change(copy.spec);
    return violations(copy);
  };
  expect(changed(() => {})).toEqual([]);
  expect(changed((spec) => Object.assign(spec, { hostNetwork: true }))).toEqual(['hostNetwork']);
  expect(changed((spec) => Object.assign(spec, { securityContext: {} }))).toEqual(['runAsNonRoot', 'seccompProfile']);
  expect(changed((spec) => Object.assign(spec, { volumes: [{ name: 'x', hostPath: { path: '/' } }] }))).toEqual([
    'volume types',
  ]);
});

/** What an object names that is not among the objects: secrets, claims, files, services, and whom it waits for. */
function danglingReferences(objects: readonly Manifest[]): string[] {
  const known = new Set(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
  const workloads = ['Deployment', 'StatefulSet', 'Job'];
  const wanted = objects.flatMap((object) => {
    const waits = object.metadata.annotations?.['plinth.dev/depends-on']?.split(',') ?? [];
    const template = dig(object, object.kind === 'CronJob' ? 'spec.jobTemplate.spec.template' : 'spec.template');
    const uses = digMap(template, 'metadata.annotations')['plinth.dev/uses-secrets'];
    const container = digList(template, 'spec.containers')[0];
    return [
      ...waits.map((name) => workloads.map((kind) => `${kind} ${name}`)),
      ...(typeof uses === 'string' ? uses.split(',') : []).map((name) => [`Secret ${name}`]),
      ...digList(template, 'spec.imagePullSecrets').map((each) => [`Secret ${String(dig(each, 'name'))}`]),
      ...digList(container, 'env').flatMap((each) => {
        const name = dig(each, 'valueFrom.secretKeyRef.name');
        return name === undefined ? [] : [[`Secret ${String(name)}`]];
      }),
      ...digList(template, 'spec.volumes').flatMap((volume) =>
        [
          ['Secret', 'secret.secretName'],
          ['ConfigMap', 'configMap.name'],
          ['PersistentVolumeClaim', 'persistentVolumeClaim.claimName'],
        ].flatMap(([kind, at]) => (dig(volume, at!) === undefined ? [] : [[`${kind} ${String(dig(volume, at!))}`]])),
      ),
    ];
  });
  return wanted.filter((any) => !any.some((name) => known.has(name))).map((any) => any.join(' or '));
}
