import { describe, expect, test } from 'vitest';
import { dig, digList } from '#synth/dig.ts';
import { type Manifest, parseManifests } from '#synth/render.ts';
import { type Golden, goldens } from './golden.ts';
import { allows, type End, type Pod } from './network-evaluator.ts';

const dnsPod: Pod = podIn('kube-system', { 'k8s-app': 'kube-dns' }, '10.96.0.10');
const otherSystemPod: Pod = podIn('kube-system', { 'k8s-app': 'metrics-server' }, '10.0.4.4');
const stranger: Pod = podIn(
  'local--others--project',
  { 'app.kubernetes.io/name': 'web', 'plinth.dev/project': 'x' },
  '10.0.9.9',
);

/** Where no project may go unless its environment lists it: one address of each denied range, and the API server. */
const deniedAddresses = [
  '0.0.0.1',
  '10.0.0.1',
  '100.64.0.1',
  '100.100.100.200',
  '127.0.0.1',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.254',
  '192.0.0.192',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '64:ff9b::a00:1',
  '2002:a00:1::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'ff02::1',
];
const openAddresses = ['1.1.1.1', '8.8.8.8', '172.32.0.1', '192.0.1.1', '2606:4700:4700::1111'];

function podIn(namespace: string, labels: Record<string, string>, address: string): Pod {
  return { namespace, namespaceLabels: { 'kubernetes.io/metadata.name': namespace }, labels, address };
}

interface Scene {
  readonly golden: Golden;
  readonly policies: Manifest[];
  readonly pods: { readonly pod: Pod; readonly ports: number[]; readonly name: string }[];
  /** Routed ports by container. */
  readonly routed: ReadonlyMap<string, number>;
}

function sceneOf(golden: Golden): Scene {
  const objects = parseManifests(golden.rendered.manifests);
  const pods = objects.flatMap((object, index) => {
    const template = dig(object, object.kind === 'CronJob' ? 'spec.jobTemplate.spec.template' : 'spec.template');
    if (template === undefined) return [];
    const labels = dig(template, 'metadata.labels') as Record<string, string>;
    const ports = digList(template, 'spec.containers.0.ports').map((port) => Number(dig(port, 'containerPort')));
    return [
      {
        pod: podIn(golden.rendered.namespace, labels, `10.0.5.${index}`),
        ports,
        name: labels['app.kubernetes.io/name']!,
      },
    ];
  });
  const routed = new Map(
    objects.flatMap((object) => {
      if (object.kind === 'Ingress')
        return [[object.metadata.name, Number(dig(object, 'spec.rules.0.http.paths.0.backend.service.port.number'))]];
      if (object.kind === 'HTTPRoute')
        return [[object.metadata.name, Number(dig(object, 'spec.rules.0.backendRefs.0.port'))]];
      return [];
    }) as [string, number][],
  );
  return { golden, policies: objects.filter(({ kind }) => kind === 'NetworkPolicy'), pods, routed };
}

const closed = goldens().filter(({ environment }) => environment.network.policies);

describe('network policies by their meaning; that a plugin enforces them is not verified here', () => {
  for (const golden of closed) {
    const { policies, pods, routed } = sceneOf(golden);
    const { environment, rendered } = golden;
    const edge = podIn(environment.ingress.namespace, { app: 'controller' }, '10.0.1.1');
    const tcp = (from: End, to: End, port: number) => allows(policies, { from, to, port, protocol: 'TCP' });

    test(`${golden.name}: every two pods reach each other on every port, in both directions`, () => {
      for (const a of pods)
        for (const b of pods) {
          expect([a.name, b.name, tcp(a.pod, b.pod, b.ports[0] ?? 1234)]).toEqual([a.name, b.name, true]);
          expect(allows(policies, { from: a.pod, to: b.pod, port: 7777, protocol: 'UDP' })).toBe(true);
        }
    });

    test(`${golden.name}: other namespaces reach nothing, and are not reached`, () => {
      for (const { pod, ports, name } of pods)
        for (const other of [stranger, otherSystemPod, podIn('default', {}, '10.0.7.7')])
          for (const port of [...ports, 80, 443]) {
            expect([name, other.namespace, port, tcp(other, pod, port)]).toEqual([name, other.namespace, port, false]);
            expect([name, other.namespace, port, tcp(pod, other, port)]).toEqual([name, other.namespace, port, false]);
          }
    });

    test(`${golden.name}: the edge reaches routed ports and no other`, () => {
      for (const { pod, ports, name } of pods)
        for (const port of [...ports, 22, 9999])
          expect([name, port, tcp(edge, pod, port)]).toEqual([name, port, routed.get(name) === port]);
    });

    test(`${golden.name}: nobody but the edge comes in from outside`, () => {
      for (const { pod, ports } of pods)
        for (const port of ports)
          for (const address of ['1.2.3.4', '10.0.0.1', '2606:4700::1'])
            expect(tcp({ address }, pod, port)).toBe(false);
    });

    test(`${golden.name}: DNS over UDP and TCP, to the pods of DNS only, on its port only`, () => {
      for (const { pod } of pods) {
        for (const protocol of ['UDP', 'TCP'] as const) {
          expect(allows(policies, { from: pod, to: dnsPod, port: 53, protocol })).toBe(true);
          expect(allows(policies, { from: pod, to: dnsPod, port: 9153, protocol })).toBe(false);
          expect(allows(policies, { from: pod, to: otherSystemPod, port: 53, protocol })).toBe(false);
        }
      }
    });

    test(`${golden.name}: the internet, but no private, link-local, metadata or API-server address`, () => {
      const internet = policies.some(({ metadata }) => metadata.name === 'internet');
      for (const { pod } of pods) {
        for (const address of openAddresses) expect([address, tcp(pod, { address }, 443)]).toEqual([address, internet]);
        for (const address of [
          ...deniedAddresses,
          ...environment.network.apiServer.map((range) => range.split('/')[0]!),
        ])
          for (const port of [53, 80, 443, 6443])
            expect([address, port, tcp(pod, { address }, port)]).toEqual([address, port, false]);
      }
    });

    test(`${golden.name}: one default-deny for all pods, both ways`, () => {
      expect(policies.filter(({ metadata }) => metadata.name === 'deny').map(({ spec }) => spec)).toEqual([
        { podSelector: {}, policyTypes: ['Egress', 'Ingress'] },
      ]);
      expect(new Set(policies.map(({ metadata }) => metadata.namespace))).toEqual(new Set([rendered.namespace]));
    });
  }

  test('egress that spec and environment both list is open, on the listed ports, and nothing beside it', () => {
    const { policies, pods } = sceneOf(closed.find(({ name }) => name === 'production/listed-egress')!);
    const [{ pod }] = pods as [Scene['pods'][number]];
    const answers = [
      ['10.20.7.7', 5432, true],
      ['10.20.7.7', 6432, false],
      ['10.20.8.1', 5432, true],
      ['10.20.8.1', 6432, true],
      ['10.20.8.1', 22, false],
      ['10.20.9.1', 5432, false],
      ['10.30.5.25', 25, true],
      ['10.30.5.26', 25, false],
      ['198.51.100.7', 443, true],
      ['198.51.100.8', 443, false],
      ['fd12:3456:1::9', 443, true],
      ['fd12:3456:2::9', 443, false],
      ['fd12:3456:1::9', 80, false],
    ] as const;
    for (const [address, port, open] of answers)
      expect([address, port, allows(policies, { from: pod, to: { address }, port, protocol: 'TCP' })]).toEqual([
        address,
        port,
        open,
      ]);
  });

  test('without policies there is no policy object at all', () => {
    const open = goldens().find(({ name }) => name === 'open/no-policies')!;
    expect(sceneOf(open).policies).toEqual([]);
  });

  test('the evaluator can say no for each reason: no rule, wrong port, wrong peer, a hole in a range', () => {
    const policy = (spec: object): Manifest => ({
      apiVersion: 'v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p', namespace: 'a' },
      spec,
    });
    const [one, two] = [podIn('a', { app: 'one' }, '10.0.0.1'), podIn('b', { app: 'two' }, '10.0.0.2')];
    const probe = (spec: object, to: End, port = 80) =>
      allows([policy({ podSelector: {}, policyTypes: ['Egress'], ...spec })], { from: one, to, port, protocol: 'TCP' });
    expect(probe({}, two)).toBe(false);
    expect(probe({ egress: [{}] }, two)).toBe(true);
    expect(probe({ egress: [{ ports: [{ port: 81 }] }] }, two)).toBe(false);
    expect(probe({ egress: [{ to: [{ podSelector: {} }] }] }, two)).toBe(false);
    expect(probe({ egress: [{ to: [{ namespaceSelector: {} }] }] }, two)).toBe(true);
    const range = { egress: [{ to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['9.0.0.0/8'] } }] }] };
    expect(probe(range, { address: '8.1.1.1' })).toBe(true);
    expect(probe(range, { address: '9.1.1.1' })).toBe(false);
    expect(probe(range, { address: '::5' })).toBe(false);
  });
});
