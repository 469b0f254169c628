import { describe, expect, test } from 'vitest';
import { formatFinding, InvalidInput } from '#environments/finding.ts';
import { loadEnvironment } from '#environments/load.ts';
import { parseManifests, render } from '#synth/render.ts';

const kinds = 'kinds:\n  - { apiVersion: cert-manager.io/v1, kind: Certificate, plural: certificates }\n';
const environment = (more: string) =>
  loadEnvironment('local', `apiVersion: plinth.dev/v1\nkind: Environment\ndomain: apps.localhost\n${more}`);
const key = { environment: 'local', team: 'atlas', project: 'shop' };
const spec = (objects: string) =>
  `apiVersion: plinth.dev/v1\nkind: Project\nlabels: { tier: gold }\ncontainers:\n  web: { image: "a:1" }\nobjects:\n${objects}`;
const certificate = `  - apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: { name: web, labels: { zone: a }, annotations: { plinth.dev/policy: keep } }
    spec: { secretName: web-tls, dnsNames: [shop.example.com] }
`;

function findings(objects: string, more = kinds): string[] {
  try {
    render({ environment: environment(more), key, spec: spec(objects) });
    return [];
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    return error.findings.map((finding) => formatFinding(finding).replace(/^.*?project\.yaml:/, ''));
  }
}

describe('objects of other kinds', () => {
  test('come out as they are, in the namespace of the project, with its labels', () => {
    const { manifests } = render({ environment: environment(kinds), key, spec: spec(certificate) });
    const made = parseManifests(manifests).find(({ kind }) => kind === 'Certificate');
    expect(made).toEqual({
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: {
        name: 'web',
        namespace: 'local--atlas--shop',
        annotations: { 'plinth.dev/policy': 'keep' },
        labels: {
          tier: 'gold',
          zone: 'a',
          'app.kubernetes.io/instance': 'local--atlas--shop',
          'app.kubernetes.io/managed-by': 'plinth',
          'app.kubernetes.io/name': 'shop',
          'app.kubernetes.io/part-of': 'shop',
          'plinth.dev/environment': 'local',
          'plinth.dev/project': 'shop',
          'plinth.dev/team': 'atlas',
        },
      },
      spec: { secretName: 'web-tls', dnsNames: ['shop.example.com'] },
    });
  });

  test.each([
    [
      'a kind that the environment does not list',
      certificate,
      '',
      'cert-manager.io/v1 Certificate is not among kinds in environment.yaml: it lists none',
    ],
    [
      'a kind of Kubernetes',
      '  - { apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: { name: me } }\n',
      kinds,
      'it lists cert-manager.io/v1 Certificate',
    ],
    [
      'another version',
      certificate.replace('/v1\n', '/v1alpha2\n'),
      kinds,
      'cert-manager.io/v1alpha2 Certificate is not among kinds',
    ],
    ['a status', certificate + '    status: {}\n', kinds, 'status is written by the operator of the kind'],
    ['a namespace', certificate.replace('name: web,', 'name: web, namespace: kube-system,'), kinds, 'namespace'],
    ['an owner', certificate.replace('name: web,', 'name: web, ownerReferences: [],'), kinds, 'ownerReferences'],
    [
      'a label of ours',
      certificate.replace('zone: a', 'plinth.dev/team: other'),
      kinds,
      'labels of plinth.dev are reserved',
    ],
    [
      'an annotation of ours',
      certificate.replace('plinth.dev/policy', 'plinth.dev/secret'),
      kinds,
      'annotations of plinth.dev are reserved',
    ],
    ['a name twice', certificate + certificate, kinds, 'stands twice'],
    ['a name that leads elsewhere', certificate.replace('name: web,', 'name: ../web,'), kinds, 'the name of an object'],
  ])('%s is refused', (_, objects, more, wanted) => {
    expect(findings(objects, more).join('\n')).toContain(wanted);
  });

  test('a key __proto__ in the text of an object changes nothing', () => {
    const objects = certificate.replace('secretName: web-tls', 'secretName: web-tls, __proto__: { polluted: true }');
    findings(objects);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
