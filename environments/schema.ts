import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { names, reservedBecause } from './layout.ts';
import { kindsSchema, notifySchema, reconcileSchema, signaturesSchema, windowsSchema } from './operations.ts';

/**
 * Addresses that a project must never reach: this host, private, carrier-grade, link-local, the clouds' metadata and
 * platform addresses (169.254.0.0/16, 168.63.129.16, 192.0.0.192, fd00:ec2::254), multicast, and the ranges of IPv6
 * that carry any of them.
 */
const deniedRanges = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
  '::/127',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2002::/16',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
];

/** CPU: 2 is two cores, 250m a quarter of one. */
export const cpuAmount = z
  .string()
  .regex(/^\d{1,12}(\.\d{1,3}|m)?$/, 'an amount of CPU such as 2, 0.5 or 250m')
  .meta({ type: ['string', 'number'] });
/** Memory and disk. A unit is asked for: 512 and 128m would be so many bytes, or fractions of one. */
export const bytesAmount = z
  .string()
  .regex(/^\d{1,12}(\.\d{1,3})?(k|[MGTPE]|[KMGTPE]i)$/, 'an amount with its unit such as 256Mi or 10Gi');
export const domain = z
  .string()
  .max(190)
  .regex(/^(?=.*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/, {
    message: 'a domain such as apps.example.com',
    abort: true,
  });
/** Written as the network's own address: 10.1.2.3/8 is taken for a slip. */
export const cidr = z
  .string()
  .regex(/^([0-9.]{7,15}\/\d{1,2}|[0-9a-f:.]{2,45}\/\d{1,3})$/, 'a range such as 10.0.0.0/8 or fd00::/8, in lower case')
  .superRefine((text, context) => {
    if (context.issues.length > 0) return;
    if (!ipaddr.isValidCIDR(text))
      context.addIssue({ code: 'custom', message: `${text} is no range such as 10.0.0.0/8` });
    else {
      const network = networkOf(text);
      if (network !== text) context.addIssue({ code: 'custom', message: `${text} begins at ${network}; write that` });
    }
  });
/** The range from its first address on: `10.0.0.0/8` of `10.1.2.3/8`. */
function networkOf(text: string): string {
  const [address, bits] = ipaddr.parseCIDR(text);
  return address.kind() === 'ipv4'
    ? `${ipaddr.IPv4.networkAddressFromCIDR(text)}/${bits}`
    : `${ipaddr.IPv6.networkAddressFromCIDR(text)}/${bits}`;
}

const labelMap = z.record(z.string(), z.string());
const kubernetesName = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'the name of a Kubernetes object');

const ingress = z
  .strictObject({
    class: kubernetesName.optional().describe("IngressClass; unset: the cluster's default."),
    namespace: kubernetesName
      .default('ingress-nginx')
      .describe('Namespace of the controller that may reach routed ports.'),
    tlsSecret: kubernetesName
      .optional()
      .describe(
        "Wildcard TLS secret that something else puts into each project's namespace; unset: the controller's default certificate.",
      ),
    auth: z
      .strictObject({
        url: z.url({ protocol: /^https?$/ }).describe('Answers 2xx to requests that may pass.'),
        signin: z
          .url({ protocol: /^https?$/ })
          .optional()
          .describe('Where a person is sent to sign in.'),
      })
      .optional()
      .describe(
        'Sign-in for routes with access: team, by the auth-url annotations of ingress-nginx. Name it only for a controller that keeps them; unset: such routes are refused.',
      ),
    gateway: z
      .strictObject({
        name: kubernetesName.describe('Name of the Gateway.'),
        namespace: kubernetesName.describe('Namespace of the Gateway.'),
        section: kubernetesName.optional().describe('Its listener; unset: every one that takes the host.'),
      })
      .optional()
      .describe('The Gateway that HTTPRoutes attach to, where edge is gateway.'),
  })
  .prefault({});

const network = z
  .strictObject({
    policies: z.boolean().default(true).describe('NetworkPolicies: deny by default, both ways.'),
    deniedRanges: z
      .array(cidr)
      .max(64)
      .default(deniedRanges)
      .describe('Never reachable from a project unless listed in egress.'),
    apiServer: z
      .array(cidr)
      .max(16)
      .default([])
      .describe("Public addresses of the cluster's API server: denied beside deniedRanges."),
    dns: z
      .strictObject({
        namespace: labelMap
          .default({ 'kubernetes.io/metadata.name': 'kube-system' })
          .describe('Labels of its namespace.'),
        pods: labelMap.default({ 'k8s-app': 'kube-dns' }).describe('Labels of its pods.'),
        ports: z
          .array(z.int().min(1).max(65_535))
          .min(1)
          .max(4)
          .default([53])
          .describe('Of the DNS pods, UDP and TCP.'),
      })
      .prefault({})
      .describe("Selectors of the cluster's DNS."),
    egress: z
      .array(
        z.strictObject({
          cidr: cidr.describe('The range.'),
          ports: z.array(z.int().min(1).max(65_535)).max(32).optional().describe('Only these; default every port.'),
          about: z.string().max(200).optional().describe('What lies there, for people.'),
        }),
      )
      .max(64)
      .default([])
      .describe('What a spec may open beyond the internet: ranges and, where given, ports.'),
  })
  .prefault({});

const storage = z
  .strictObject({
    class: kubernetesName.optional().describe("StorageClass; unset: the cluster's default."),
    size: bytesAmount.default('5Gi').describe('Size of a volume that names none.'),
    snapshotClass: kubernetesName.optional().describe("VolumeSnapshotClass; unset: the cluster's default."),
    affinity: z.boolean().default(true).describe('Put containers that share a ReadWriteOnce volume on one node.'),
  })
  .prefault({});

const quota = z
  .strictObject({
    cpu: cpuAmount.default('8').describe('Sum of CPU limits of a project.'),
    memory: bytesAmount.default('16Gi').describe('Sum of memory limits of a project.'),
    storage: bytesAmount.default('100Gi').describe('Sum of volume sizes of a project.'),
    pods: z.int().min(1).max(1000).default(40).describe('Number of pods of a project.'),
    volumes: z.int().min(0).max(100).default(20).describe('Number of volumes of a project.'),
  })
  .prefault({});

const resources = z
  .strictObject({
    cpu: cpuAmount.default('50m').describe('CPU request.'),
    memory: bytesAmount.default('128Mi').describe('Memory request.'),
    cpuLimit: cpuAmount.default('1').describe('CPU limit.'),
    memoryLimit: bytesAmount.default('512Mi').describe('Memory limit.'),
  })
  .prefault({});

/** `environment.yaml`: a place where projects run. */
export const environmentSchema = z
  .strictObject({
    apiVersion: z.literal('plinth.dev/v1').describe('Version of this format.'),
    kind: z.literal('Environment').describe('What this file is.'),
    runtime: z
      .enum(['auto', 'kubernetes', 'none'])
      .default('none')
      .describe('auto (only local): kubernetes where a cluster is found, else none.'),
    cluster: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/)
      .optional()
      .describe('Cluster; its credentials are the organization secret cluster-<name>.'),
    domain: domain.describe('Projects are served at <project>--<team>.<domain>; no other environment may use it.'),
    edge: z
      .enum(['ingress', 'gateway'])
      .default('ingress')
      .describe('How routes enter: Ingress, or a Gateway API HTTPRoute.'),
    ingress: ingress.describe('The edge: who lets requests in.'),
    network: network.describe('What projects may reach.'),
    storage: storage.describe('Defaults of volumes.'),
    quota: quota.describe('What one project may use in all.'),
    resources: resources.describe('Defaults for containers that say none.'),
    podSecurity: z
      .enum(['restricted', 'baseline'])
      .default('restricted')
      .describe('The weakest Pod Security level that a spec may ask for.'),
    image: z
      .string()
      .max(255)
      .default('node:24-alpine')
      .describe('Image of containers that name none (K8S_DEVSERVER_IMAGE).'),
    pullSecret: kubernetesName
      .optional()
      .describe('Organization secret with registry credentials, put into each namespace.'),
    hosts: z
      .record(z.string().regex(names.team.pattern, names.team.text), z.array(domain).max(100))
      .default({})
      .describe('Custom hosts that a team may route: team → hosts.'),
    reconcile: reconcileSchema,
    windows: windowsSchema,
    signatures: signaturesSchema,
    notify: notifySchema,
    kinds: kindsSchema,
    next: z.string().regex(names.environment.pattern).optional().describe('The environment that promotions go to.'),
  })
  .superRefine((value, context) => {
    if (value.edge === 'gateway' && value.ingress.gateway === undefined)
      context.addIssue({
        code: 'custom',
        path: ['ingress', 'gateway'],
        message: 'edge: gateway needs ingress.gateway with name and namespace',
      });
    for (const [team, hosts] of Object.entries(value.hosts))
      for (const [index, host] of hosts.entries())
        if (host === value.domain || host.endsWith(`.${value.domain}`))
          context.addIssue({
            code: 'custom',
            path: ['hosts', team, index],
            message: `${host} lies below ${value.domain}, whose hosts belong to projects by their names`,
          });
  });

/** What a person may write. */
export type EnvironmentInput = z.input<typeof environmentSchema>;
/** environment.yaml with every default filled in, and the name of its folder. Frozen. */
export type Environment = Readonly<z.output<typeof environmentSchema>> & { readonly name: string };

/** Why this may not be an environment's name, or undefined. */
export function environmentNameFault(name: string): string | undefined {
  if (!names.environment.pattern.test(name))
    return `an environment's name is ${names.environment.text}; it is ${JSON.stringify(name)}`;
  return reservedBecause('environment', name);
}
