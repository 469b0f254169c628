import { describe, expect, test } from 'vitest';
import { formatFinding, InvalidInput } from '#environments/finding.ts';
import { loadEnvironment } from '#environments/load.ts';
import { dig } from '#synth/dig.ts';
import type { ProjectInput } from '#synth/project.ts';
import { parseManifests, render } from '#synth/render.ts';

const environment = loadEnvironment('local', 'apiVersion: plinth.dev/v1\nkind: Environment\ndomain: apps.localhost\n');
const key = { environment: 'local', team: 'atlas', project: 'shop' };

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
type Patch = NonNullable<ProjectInput['patches']>[number];

function renderWith(target: Patch['target'], ...operations: Patch['patch']) {
  const spec: ProjectInput = {
    apiVersion: 'plinth.dev/v1',
    kind: 'Project',
    containers: { web: { image: 'a:1', port: 8080, route: '/', dependsOn: ['once'] } },
    services: { db: 'redis' },
    jobs: { once: { image: 'a:1' } },
    patches: [{ target, patch: operations }],
  };
  return render({ environment, key, spec: JSON.stringify(spec) });
}

function findingsOf(target: Patch['target'], ...operations: Patch['patch']): string[] {
  try {
    renderWith(target, ...operations);
    return [];
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    return error.findings.map((finding) => formatFinding(finding).replace(/^\S+ /, ''));
  }
}

const web = { kind: 'Deployment', name: 'web' };
const add = (path: string, value: Json) => ({ op: 'add' as const, path, value });
const annotated = (name: string, value: Json = '') => add(`/metadata/annotations/plinth.dev~1${name}`, value);

describe('patches', () => {
  test('come last and change what the spec has no word for', () => {
    const { manifests } = renderWith(web, add('/spec/minReadySeconds', 10), {
      op: 'remove',
      path: '/spec/revisionHistoryLimit',
    });
    const deployment = parseManifests(manifests).find(({ kind }) => kind === 'Deployment');
    expect([dig(deployment, 'spec.minReadySeconds'), dig(deployment, 'spec.revisionHistoryLimit')]).toEqual([
      10,
      undefined,
    ]);
  });

  test('of a job go into its digest, and who waits for it follows', () => {
    const jobOf = (manifests: string) => parseManifests(manifests).find(({ kind }) => kind === 'Job')!.metadata.name;
    const waits = (manifests: string) =>
      parseManifests(manifests).find(({ kind }) => kind === 'Deployment')!.metadata.annotations;
    const plain = renderWith(web, add('/spec/minReadySeconds', 10)).manifests;
    const patched = renderWith({ kind: 'Job', name: 'once' }, add('/spec/parallelism', 2)).manifests;
    expect(jobOf(patched)).not.toBe(jobOf(plain));
    expect(waits(patched)).toEqual({ 'plinth.dev/depends-on': jobOf(patched) });
  });

  test('set the policies of an object', () => {
    const policies = { 'plinth.dev/policy': 'keep, adopt', 'plinth.dev/ignore': '/spec/replicas' };
    const [policy, ignore] = Object.values(policies);
    const { manifests } = renderWith(web, annotated('policy', policy), annotated('ignore', ignore));
    const deployment = parseManifests(manifests).find(({ kind }) => kind === 'Deployment');
    expect(deployment?.metadata.annotations).toMatchObject(policies);
  });

  const refused: readonly (readonly [string, Patch['target'], Patch['patch'][number], string])[] = [
    [
      'an unknown kind',
      { kind: 'Deploymnt', name: 'web' },
      add('/x', 1),
      'patches[0].target: this project has no Deploymnt; did you mean Deployment?',
    ],
    [
      'an unknown name',
      { kind: 'Deployment', name: 'wep' },
      add('/x', 1),
      'patches[0].target: there is no Deployment wep; did you mean web?',
    ],
    [
      'a path that is not there',
      web,
      { op: 'replace', path: '/spec/nowhere/x', value: 1 },
      'patches[0].patch[0]: replace /spec/nowhere/x cannot be applied to Deployment web: ',
    ],
    [
      'a test that fails',
      web,
      { op: 'test', path: '/spec/replicas', value: 7 },
      'patches[0].patch[0]: test /spec/replicas cannot be applied to Deployment web: ',
    ],
    [
      'the name',
      web,
      add('/metadata/name', 'x'),
      'patches[0]: it changes metadata.name of Deployment web, which binds the object to its project',
    ],
    ['the namespace', web, add('/metadata/namespace', 'kube-system'), 'patches[0]: it changes metadata.namespace'],
    ['the kind', web, add('/kind', 'DaemonSet'), 'patches[0]: it changes kind'],
    [
      'a label that binds',
      web,
      add('/metadata/labels/plinth.dev~1team', 'x'),
      'patches[0]: it changes metadata.labels',
    ],
    [
      'a label of the pods',
      web,
      add('/spec/template/metadata/labels/app.kubernetes.io~1name', 'x'),
      'patches[0]: it changes spec.template.metadata.labels',
    ],
    ['the selector', web, add('/spec/selector/matchLabels/x', 'y'), 'patches[0]: it changes spec.selector'],
    [
      'a policy that is none',
      web,
      annotated('policy', 'keep,kep'),
      'patches[0]: "kep" is no policy; there are adopt, keep, replace',
    ],
    [
      'a field that is no pointer',
      web,
      annotated('ignore', 'spec.replicas'),
      'patches[0]: "spec.replicas" is no JSON Pointer to a field, such as /spec/replicas',
    ],
    [
      'a label that binds, left to others',
      web,
      annotated('ignore', '/metadata/labels/plinth.dev~1team'),
      'patches[0]: /metadata/labels/plinth.dev~1team binds the object to its project and cannot be left to others',
    ],
    [
      'a guard, left to others',
      web,
      annotated('ignore', '/spec/template/spec/securityContext/seccompProfile'),
      'Deployment web: container web: seccompProfile must be RuntimeDefault',
    ],
    ['another annotation of ours', web, annotated('depends-on', 'x'), 'patches[0]: it changes metadata.annotations'],
    ['the whole object', web, add('', {}), 'patches[0]: it changes apiVersion'],
    ['a prototype', web, add('/__proto__/x', 1), 'patches[0].patch[0].path: /__proto__/x is no path of an object'],
    [
      'a host namespace',
      web,
      add('/spec/template/spec/hostNetwork', true),
      'Deployment web: hostNetwork opens the node to the pod',
    ],
    [
      'a host path',
      web,
      add('/spec/template/spec/volumes', [{ name: 'x', hostPath: { path: '/' } }]),
      'Deployment web: volume x is a hostPath',
    ],
    [
      'privileges',
      web,
      add('/spec/template/spec/containers/0/securityContext/privileged', true),
      'Deployment web: container web: it may not be privileged',
    ],
    [
      'capabilities',
      web,
      add('/spec/template/spec/containers/0/securityContext/capabilities/add', ['NET_ADMIN']),
      'Deployment web: container web: it may not add the capabilities NET_ADMIN',
    ],
    ['root', web, add('/spec/template/spec/securityContext/runAsUser', 0), 'Deployment web: runAsUser may not be 0'],
    [
      'no seccomp',
      web,
      { op: 'remove', path: '/spec/template/spec/securityContext/seccompProfile' },
      'Deployment web: container web: seccompProfile must be RuntimeDefault',
    ],
    [
      'a token',
      web,
      add('/spec/template/spec/automountServiceAccountToken', true),
      'Deployment web: automountServiceAccountToken must be false',
    ],
    [
      'another account',
      web,
      add('/spec/template/spec/serviceAccountName', 'default'),
      'Deployment web: serviceAccountName must be workload',
    ],
    [
      'a secret of others',
      web,
      add('/spec/template/spec/containers/0/envFrom', [{ secretRef: { name: 'admin' } }]),
      'Deployment web: container web: Secret admin is not declared by the spec',
    ],
    [
      'a host of others',
      { kind: 'Ingress', name: 'web' },
      add('/spec/rules/0/host', 'a.b'),
      'Ingress web: host a.b does not belong to the project',
    ],
    [
      'a way in beside the edge',
      { kind: 'Service', name: 'web' },
      add('/spec/type', 'LoadBalancer'),
      'Service web: type LoadBalancer opens a way in beside the edge',
    ],
    [
      'a second copy on one volume',
      { kind: 'StatefulSet', name: 'db' },
      add('/spec/replicas', 2),
      'StatefulSet db: two copies could write to db, which is ReadWriteOnce',
    ],
    [
      'a foreign volume',
      { kind: 'PersistentVolumeClaim', name: 'db' },
      add('/spec/volumeName', 'pv'),
      'PersistentVolumeClaim db: spec.volumeName could reach data of others',
    ],
  ];
  for (const [what, target, operation, finding] of refused)
    test(`are refused where they reach for ${what}`, () => {
      const findings = findingsOf(target, operation);
      expect(findings).toHaveLength(1);
      expect(findings[0]).toContain(finding);
    });

  for (const kind of ['Namespace', 'NetworkPolicy', 'ResourceQuota', 'LimitRange', 'Secret', 'ServiceAccount'])
    test(`never touch a ${kind}`, () => {
      expect(findingsOf({ kind, name: 'x' }, add('/x', 1))).toEqual([
        `patches[0].target.kind: a ${kind} guards the project and cannot be patched`,
      ]);
    });
});
