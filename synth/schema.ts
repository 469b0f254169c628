import { z } from 'zod';
import { names } from '#environments/layout.ts';
import { modes } from '#environments/operations.ts';
import { bytesAmount, cidr, cpuAmount, domain } from '#environments/schema.ts';
import { serviceKind } from './catalogue.ts';
import { objects } from './object-schema.ts';
import { patches } from './patch-schema.ts';

const name = z.string().regex(names.container.pattern, names.container.text);
const secretName = z
  .string()
  .regex(/^(?=.{1,50}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'a secret: 1 to 50 lower case letters, digits and hyphens');
const envName = z
  .string()
  .regex(/^(?=.{1,128}$)[A-Za-z_][A-Za-z0-9_]*$/, 'a variable: letters, digits and underscores, no digit first');
const absolutePath = z
  .string()
  .max(200)
  .regex(/^\/(?!$)(?!.*\/\.{1,2}(\/|$))(?!.*\/\/)[^\0:]*[^/\0:]$/, 'an absolute path such as /data, without . or ..');
const projectReference = z
  .string()
  .regex(
    /^(?=.{3,17}\/)[a-z](-?[a-z0-9])*\/(?=.{3,20}$)[a-z](-?[a-z0-9])*$/,
    'a project of the same environment as team/project, such as shop/database',
  );
const portName = z.string().regex(/^(?=.{1,15}$)(?!\d+$)[a-z0-9]+(-[a-z0-9]+)*$/, 'a port name such as metrics');
const port = z.int().min(1).max(65_535);

/** A map of at most so many entries. */
const few =
  (most: number) =>
  (map: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void => {
    const count = Object.keys(map).length;
    if (count > most) context.addIssue({ code: 'custom', message: `it has ${count} entries; the most is ${most}` });
  };
const secretReference = z.strictObject({ secret: secretName.describe("Name of one of the project's secrets.") });

/** Numbers and switches are taken as they are written. */
const text = z
  .string()
  .max(32_768)
  .meta({ type: ['string', 'number', 'boolean'] });

const env = z
  .record(envName, z.union([text, secretReference]))
  .superRefine(few(300))
  .default({})
  .describe(
    'Variables: text, or { secret: name }. $(OTHER) is replaced by another variable. Names that begin with PLINTH_ or KUBERNETES_ are reserved.',
  );

const secrets = z
  .array(secretName)
  .max(64)
  .default([])
  .describe('Secrets of the project given as variables of the same name: openai-api-key becomes OPENAI_API_KEY.');

const files = z
  .record(absolutePath, z.union([z.string().max(65_536), secretReference]))
  .superRefine(few(50))
  .default({})
  .describe('Files put into the container, by path: their text, or { secret: name }.');

const mounts = z
  .record(
    absolutePath,
    z.union([
      name,
      z.strictObject({
        volume: name.describe('A volume of the project.'),
        subPath: z
          .string()
          .regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$)).{1,200}$/, 'a relative path without ..')
          .optional()
          .describe('Only this folder of the volume.'),
        readOnly: z.boolean().default(false).describe('The container may not write to it.'),
      }),
    ]),
  )
  .superRefine(few(30))
  .default({})
  .describe('Volumes by the path where they appear: /data: uploads.');

const resources = z
  .strictObject({
    cpu: cpuAmount.optional().describe('CPU that is kept free for each copy, such as 250m.'),
    memory: bytesAmount.optional().describe('Memory that is kept free for each copy, such as 256Mi.'),
    cpuLimit: cpuAmount.optional().describe('The most CPU.'),
    memoryLimit: bytesAmount.optional().describe('The most memory; beyond it the container is ended.'),
  })
  .default({})
  .describe("What each copy needs; what is not said comes from the environment's defaults.");

/** Fields that containers and jobs share. */
const running = {
  image: z
    .string()
    .max(255)
    .optional()
    .describe("Container image. Unset: the image of `like`, else the environment's development image."),
  like: name
    .optional()
    .describe(
      'Takes image, env, secrets, files, mounts, scratch, dependsOn, user, readOnlyRoot and resources from this container; what is written here comes on top.',
    ),
  command: z
    .union([z.string().min(1).max(32_768), z.array(z.string().max(32_768)).min(1).max(64)])
    .optional()
    .describe('What to run instead of the entry point of the image: a list, or one text for `sh -c`.'),
  args: z.array(z.string().max(32_768)).max(128).optional().describe('Arguments of the entry point.'),
  env,
  secrets,
  files,
  mounts,
  scratch: z
    .array(absolutePath)
    .max(20)
    .default([])
    .describe('Empty writable folders that end with the pod. /tmp is always one where readOnlyRoot is set.'),
  dependsOn: z
    .array(name)
    .max(50)
    .default([])
    .describe(
      'Containers, services and jobs that must be healthy (jobs: complete) first. Their addresses and passwords become variables: DB_URL, and conventional ones such as DATABASE_URL.',
    ),
  resources,
  user: z
    .union([z.int().min(0).max(2_147_483_647), z.literal('image')])
    .optional()
    .describe(
      'Numeric user to run as, or `image` for the one of the image. Default 1000; with podSecurity baseline: image.',
    ),
  readOnlyRoot: z
    .boolean()
    .optional()
    .describe(
      'No writes outside of mounts, scratch and /tmp. Default false, since many images write beside themselves.',
    ),
};

const health = z
  .union([
    z.literal(false),
    z.string().regex(/^\/[^\s]*$/, 'a path such as /healthz'),
    z.strictObject({
      path: z
        .string()
        .regex(/^\/[^\s]*$/, 'a path such as /healthz')
        .optional()
        .describe('HTTP GET must answer 200 to 399.'),
      command: z.array(z.string()).min(1).max(32).optional().describe('A command that must exit with 0.'),
      port: port.optional().describe('Port of the check; default the main port.'),
      startSeconds: z.int().min(1).max(3600).default(300).describe('The most time that starting may take.'),
      everySeconds: z.int().min(1).max(300).default(10).describe('Time between two checks.'),
      timeoutSeconds: z.int().min(1).max(60).default(3).describe('A check that takes longer has failed.'),
      restart: z.boolean().default(true).describe('End and start the container again when the check keeps failing.'),
    }),
  ])
  .optional()
  .describe(
    'How to see that it works: an HTTP path, a command, or false for none. Unset: its main port takes connections, and it is not restarted for it.',
  );

/** No sign that an ingress controller's configuration could mean something by. */
export const routePath = /^\/[A-Za-z0-9._~%/-]*$/;

const route = z
  .union([
    z.literal(true),
    z.string().max(200).regex(routePath, 'a path such as / or /api'),
    z.strictObject({
      path: z
        .string()
        .regex(/^\/[^\s?#]*$/, 'a path such as / or /api')
        .default('/')
        .describe('Prefix of the paths that come here.'),
      host: z
        .union([
          z.enum(['project', 'container']),
          domain.regex(/\./, { message: 'a host such as shop.example.com', abort: true }),
        ])
        .default('project')
        .describe(
          'project: <project>--<team>.<domain>. container: <project>--<team>--<container>.<domain>. Or a host that the environment lists for the team.',
        ),
      port: port.optional().describe('Which port of the container; default the main port.'),
      access: z
        .enum(['public', 'team'])
        .default('public')
        .describe('team: only people of the team, by the sign-in that the environment names in ingress.auth.'),
      bodySize: bytesAmount.optional().describe('The largest request body; default 64Mi.'),
      timeoutSeconds: z
        .int()
        .min(1)
        .max(86_400)
        .default(3600)
        .describe('How long a response may be silent: event streams and WebSockets live this long.'),
    }),
  ])
  .optional()
  .describe(
    'Makes it reachable from outside: true, a path such as /api, or more. Without it nothing outside the project reaches it.',
  );

const container = z.strictObject({
  ...running,
  port: port.optional().describe('The port it listens on; others reach it at <name>:<port>. Given to it as PORT.'),
  ports: z
    .record(portName, port)
    .superRefine(few(20))
    .default({})
    .describe('More ports by name, reachable within the project.'),
  route,
  health,
  replicas: z.int().min(0).max(100).optional().describe('Copies. Default 1; 0 keeps it off.'),
  autoscale: z
    .strictObject({
      min: z.int().min(1).max(100).default(1).describe('The fewest copies.'),
      max: z.int().min(1).max(100).describe('The most copies.'),
      cpu: z
        .int()
        .min(1)
        .max(1000)
        .optional()
        .describe('Target CPU in percent of the request; default 75 where memory is unset.'),
      memory: z.int().min(1).max(1000).optional().describe('Target memory in percent of the request.'),
    })
    .optional()
    .describe('Copies by load, instead of replicas.'),
  stopSeconds: z.int().min(0).max(3600).default(30).describe('Time to finish after SIGTERM.'),
});

const job = z.strictObject({
  ...running,
  schedule: z
    .string()
    .max(100)
    .optional()
    .describe(
      'Runs again and again: minute hour day month weekday, such as `0 3 * * *`. Without it the job runs once for each change of it.',
    ),
  timeZone: z.string().max(64).optional().describe('Time zone of the schedule, such as Europe/Berlin; default UTC.'),
  overlap: z
    .enum(['forbid', 'allow', 'replace'])
    .default('forbid')
    .describe('What happens when it is due while the run before is still going.'),
  retries: z.int().min(0).max(20).default(3).describe('How often a failed run is tried again.'),
  timeoutSeconds: z
    .int()
    .min(1)
    .max(604_800)
    .default(3600)
    .describe('A run that takes longer, retries included, has failed.'),
});

const service = z.union([
  serviceKind,
  z.strictObject({
    kind: serviceKind,
    version: z
      .string()
      .regex(/^[\w][\w.-]{0,60}$/, 'a version such as 17')
      .optional()
      .describe('Version (tag) of the image. The default of a kind never changes, since its data would not follow.'),
    size: bytesAmount.optional().describe("Size of its volume; default the environment's."),
    class: z.string().max(253).optional().describe('StorageClass of its volume.'),
    claim: name.optional().describe('Name of its volume; default its own name. Keep it when you rename the service.'),
    persistent: z.boolean().default(true).describe('false: its data ends with its pod.'),
    env: z.record(envName, text).default({}).describe('More variables of the server.'),
    args: z.array(z.string().max(1000)).max(64).default([]).describe('More arguments of the server.'),
    resources,
  }),
]);

const volume = z.union([
  bytesAmount,
  z.strictObject({
    size: bytesAmount.optional().describe("Default: the environment's."),
    class: z.string().max(253).optional().describe("StorageClass; default the environment's, else the cluster's."),
    accessMode: z
      .enum(['ReadWriteOnce', 'ReadWriteMany'])
      .default('ReadWriteOnce')
      .describe('ReadWriteMany lets containers with several copies share it, where the class can do that.'),
  }),
]);

/** `project.yaml`: the few lines that a person writes about a project in one environment. */
export const projectSchema = z.strictObject({
  apiVersion: z.literal('plinth.dev/v1').describe('Version of this format.'),
  kind: z.literal('Project').describe('What this file is.'),
  about: z.string().max(500).optional().describe('What it is, in a sentence.'),
  labels: z
    .record(z.string(), z.string())
    .superRefine(few(30))
    .default({})
    .describe('Labels for every object. Those of plinth.dev and kubernetes.io are reserved.'),
  podSecurity: z
    .enum(['restricted', 'baseline'])
    .default('restricted')
    .describe('baseline lets containers run as root, where the environment allows it.'),
  containers: z
    .record(name, container)
    .superRefine(few(50))
    .default({})
    .describe('What runs, by name. Others of the project reach it by that name.'),
  services: z
    .record(name, service)
    .superRefine(few(30))
    .default({})
    .describe('Databases and the like from the catalogue, by name: db: postgres. Passwords are generated.'),
  volumes: z
    .record(name, volume)
    .superRefine(few(50))
    .default({})
    .describe('Disks by name, with a size: uploads: 10Gi. They stay when containers are renamed.'),
  jobs: z
    .record(name, job)
    .superRefine(few(50))
    .default({})
    .describe('Commands that run once for each change, or by schedule.'),
  network: z
    .strictObject({
      internet: z.boolean().default(true).describe('May reach public addresses.'),
      egress: z
        .array(
          z.strictObject({
            cidr: cidr.describe('The range, such as 10.20.7.0/24.'),
            ports: z
              .array(port)
              .min(1)
              .max(32)
              .optional()
              .describe('Only these, TCP and UDP; default all that are listed.'),
          }),
        )
        .max(32)
        .default([])
        .describe("Further ranges it may reach; only within what the environment's network.egress lists."),
    })
    .prefault({})
    .describe('What it may reach outside of itself.'),
  hibernation: z
    .strictObject({
      enabled: z.boolean().default(true).describe('false: never put to sleep.'),
      idleMinutes: z
        .int()
        .min(1)
        .max(43_200)
        .optional()
        .describe("Sleeps after this long without use; default the environment's."),
    })
    .prefault({})
    .describe('When it sleeps: volumes are kept as snapshots, everything else is freed until it is used again.'),
  dependsOn: z
    .array(projectReference)
    .max(20)
    .default([])
    .describe('Projects of this environment, as team/project, that must be applied and healthy first.'),
  reconcile: z
    .strictObject({
      mode: z
        .enum(modes)
        .optional()
        .describe('heal: foreign edits are undone. warn: they are only told. detect: nothing is written at all.'),
      adopt: z
        .boolean()
        .default(false)
        .describe('true: objects of its names that exist already and are nobody’s are taken over, its namespace too.'),
    })
    .prefault({})
    .describe("What reconcile does to it; the environment's mode counts where it is stricter."),
  objects,
  patches,
});

/** What a person may write. */
export type ProjectInput = z.input<typeof projectSchema>;
/** project.yaml with every default filled in that does not depend on the environment. */
export type Project = z.output<typeof projectSchema>;
export type Container = Project['containers'][string];
export type Job = Project['jobs'][string];

/** Fields that `like` takes from another container. */
export type Running = Pick<
  Container & Job,
  'image' | 'env' | 'secrets' | 'files' | 'mounts' | 'scratch' | 'dependsOn' | 'resources' | 'user' | 'readOnlyRoot'
>;
