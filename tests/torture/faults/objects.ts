import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import { type Manifest, writeManifests } from '#synth/manifests.ts';

/** What a project has at one revision: the version of each of its objects, by `Kind/name`. The Namespace is always there. */
export type Contents = ReadonlyMap<string, number>;

/** Every object that a project may have. Nothing here is acted upon by the cluster's own controllers. */
export const objectNames = [
  'ConfigMap/c-0',
  'ConfigMap/c-1',
  'ConfigMap/c-2',
  'ConfigMap/c-3',
  'ServiceAccount/account',
  'Service/web',
  'Deployment/web',
  'Ingress/web',
  'NetworkPolicy/inside',
  'ResourceQuota/project',
  'PersistentVolumeClaim/data',
] as const;

/** Where the objects of each kind are, for requests by hand. */
export const collections: Readonly<Record<string, string>> = {
  ConfigMap: '/api/v1/namespaces/:/configmaps',
  ServiceAccount: '/api/v1/namespaces/:/serviceaccounts',
  Service: '/api/v1/namespaces/:/services',
  Deployment: '/apis/apps/v1/namespaces/:/deployments',
  Ingress: '/apis/networking.k8s.io/v1/namespaces/:/ingresses',
  NetworkPolicy: '/apis/networking.k8s.io/v1/namespaces/:/networkpolicies',
  ResourceQuota: '/api/v1/namespaces/:/resourcequotas',
  PersistentVolumeClaim: '/api/v1/namespaces/:/persistentvolumeclaims',
};

/** Path of one object by hand. */
export function pathOf(key: ProjectKey, name: string): string {
  const [kind = '', plain = ''] = name.split('/');
  return `${collections[kind]?.replace(':', namespaceOf(key))}/${plain}`;
}

/** Only a person may let these go. */
export const isPreciousName = (name: string): boolean => name.startsWith('PersistentVolumeClaim/');

type Body = Pick<Manifest, 'apiVersion' | 'kind'> & Readonly<Record<string, unknown>>;

const bodies: Readonly<Record<string, (version: number, key: ProjectKey) => Body>> = {
  ConfigMap: (version) => ({ apiVersion: 'v1', kind: 'ConfigMap', data: { version: `${version}`, same: 'always' } }),
  ServiceAccount: () => ({ apiVersion: 'v1', kind: 'ServiceAccount', automountServiceAccountToken: false }),
  Service: (version) => ({
    apiVersion: 'v1',
    kind: 'Service',
    spec: { selector: { version: `v${version}` }, ports: [{ name: 'main', port: 8080, protocol: 'TCP' }] },
  }),
  Deployment: (version) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    spec: { replicas: 0, selector: { matchLabels: { app: 'web' } }, template: podTemplate(version) },
  }),
  Ingress: (version, key) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    spec: { rules: [{ host: `v${version}.${namespaceOf(key)}.example.test` }] },
  }),
  NetworkPolicy: (version) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    spec: { podSelector: { matchLabels: { version: `v${version}` } }, policyTypes: ['Ingress'] },
  }),
  ResourceQuota: (version) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    spec: { hard: { pods: `${100 + version}` } },
  }),
  PersistentVolumeClaim: () => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  }),
};

function podTemplate(version: number): object {
  const securityContext = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  };
  return {
    metadata: { labels: { app: 'web' } },
    spec: {
      automountServiceAccountToken: false,
      containers: [{ name: 'web', image: `example.test/web:v${version}`, securityContext }],
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    },
  };
}

/** One object as it shall be at a version. */
export function objectOf(key: ProjectKey, name: string, version: number): Manifest {
  const [kind = '', plain = ''] = name.split('/');
  const body = bodies[kind]?.(version, key);
  if (body === undefined) throw new Error(`there is no ${kind} in the torture of faults`);
  const metadata = { name: plain, namespace: namespaceOf(key), labels: labelsOf(key), annotations: said(version) };
  return { ...body, metadata };
}

const said = (version: number) => ({ 'torture/version': `${version}` });
const labelsOf = ({ team, project }: ProjectKey) => ({ 'plinth.dev/team': team, 'plinth.dev/project': project });

function namespaceObject(key: ProjectKey): Manifest {
  const labels = { ...labelsOf(key), 'pod-security.kubernetes.io/enforce': 'restricted' };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespaceOf(key), labels } };
}

/** The bytes of manifests.yaml. */
export const manifestsOf = (key: ProjectKey, contents: Contents): string =>
  writeManifests([namespaceObject(key), ...[...contents].map(([name, version]) => objectOf(key, name, version))]);

/** Why a live object is not as it shall be, or undefined: everything that we say must stand there. */
export function unlike(wanted: unknown, live: unknown, path = ''): string | undefined {
  if (typeof wanted !== 'object' || wanted === null)
    return wanted === live ? undefined : `${path} is ${JSON.stringify(live)}, not ${JSON.stringify(wanted)}`;
  if (typeof live !== 'object' || live === null) return `${path} is missing`;
  for (const [name, value] of Object.entries(wanted)) {
    const why = unlike(value, (live as Record<string, unknown>)[name], path === '' ? name : `${path}.${name}`);
    if (why !== undefined) return why;
  }
  return undefined;
}
