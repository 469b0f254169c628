import fc from 'fast-check';
import { catalogue, type ServiceKind } from '#synth/catalogue.ts';

const pool = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta', 'iota', 'kappa', 'one', 'two'];
const kinds = Object.keys(catalogue) as ServiceKind[];
const variable = fc.constantFrom('A', 'LOG_LEVEL', 'X_1', 'NODE_ENV', 'URL', 'yes', '__proto', 'constructor');
const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom('yes', '012', '1e3', 'a: b', '$(B)', 'x\ny\n', '', '~'),
);
const path = fc.constantFrom('/data', '/srv/files', '/etc/app', '/var/cache/x', '/tmp', '/home/app');

/** Specs that are valid by construction: names apart, dependencies backwards only, within a generous quota. */
export const arbitraryProject: fc.Arbitrary<Record<string, unknown>> = fc
  .record({
    names: fc.shuffledSubarray(pool, { minLength: 4, maxLength: 9 }),
    split: fc.tuple(fc.nat(3), fc.nat(2), fc.nat(2)),
    labels: fc.dictionary(fc.constantFrom('owner', 'acme.com/tier', 'x'), fc.constantFrom('a', 'b-1', ''), {
      maxKeys: 2,
    }),
    internet: fc.boolean(),
    bodies: fc.array(
      fc.record(
        {
          env: fc.dictionary(variable, fc.oneof(text, fc.constant({ secret: 'stored' })), { maxKeys: 4 }),
          secrets: fc.uniqueArray(fc.constantFrom('openai-key', 'stripe'), { maxLength: 2 }),
          command: fc.oneof(
            text.filter((each) => each !== ''),
            fc.array(text, { minLength: 1, maxLength: 3 }),
          ),
          args: fc.array(text, { maxLength: 3 }),
          mountPath: path,
          filePath: path,
          user: fc.constantFrom(undefined, 'image', 1, 101, 65_534),
          readOnlyRoot: fc.boolean(),
          port: fc.constantFrom(80, 3000, 8080),
          metrics: fc.boolean(),
          route: fc.constantFrom(undefined, true, '/', '/api', { host: 'container', timeoutSeconds: 5 }),
          health: fc.constantFrom(undefined, false, '/ok', { command: ['true'] }, { path: '/x', restart: false }),
          copies: fc.constantFrom(
            {},
            { replicas: 0 },
            { replicas: 3 },
            { autoscale: { max: 3 } },
            { autoscale: { min: 2, max: 4, memory: 70 } },
          ),
          schedule: fc.constantFrom(undefined, '*/5 * * * *', '0 3 * * mon-fri', '@daily'),
          mount: fc.boolean(),
          file: fc.boolean(),
          depends: fc.nat(7),
          content: text,
        },
        { requiredKeys: ['port', 'copies', 'mountPath', 'filePath', 'depends', 'content'] },
      ),
      { minLength: 9, maxLength: 9 },
    ),
    kinds: fc.array(fc.constantFrom(...kinds), { minLength: 3, maxLength: 3 }),
    many: fc.boolean(),
  })
  .map(({ names, split, bodies, kinds: chosen, labels, internet, many }) => {
    const services: Record<string, unknown> = {};
    const containers: Record<string, unknown> = {};
    const jobs: Record<string, unknown> = {};
    const done: string[] = [];
    const routed = new Set<unknown>();
    for (const [index, name] of names.entries()) {
      const body = bodies[index]!;
      const dependsOn = done.filter((_, at) => (body.depends >> (at % 3)) & 1);
      const mounts = body.mount ? { [body.mountPath]: { volume: 'shared', subPath: 'x' } } : {};
      const files = body.file && body.filePath !== body.mountPath ? { [body.filePath]: body.content } : {};
      const running = {
        image: 'acme/app:1',
        dependsOn,
        mounts,
        files,
        ...pick(body, ['env', 'secrets', 'command', 'args', 'user', 'readOnlyRoot']),
      };
      if (index < split[1] + 1 && index < chosen.length) {
        services[name] = chosen[index];
      } else if (index < split[1] + split[2] + 1) {
        jobs[name] = { ...running, ...pick(body, ['schedule']) };
        if (body.schedule !== undefined) continue;
      } else {
        const single = body.mount && !many;
        const route = routed.has(JSON.stringify(body.route)) || body.route === true ? undefined : body.route;
        routed.add(JSON.stringify(body.route));
        containers[name] = {
          ...running,
          ...(single ? {} : body.copies),
          port: body.port,
          ...(body.metrics ? { ports: { metrics: 9999 } } : {}),
          ...(route === undefined ? {} : { route }),
          ...pick(body, ['health']),
        };
      }
      done.push(name);
    }
    const volumes = { shared: many ? { accessMode: 'ReadWriteMany', size: '1Gi' } : '1Gi' };
    return {
      apiVersion: 'plinth.dev/v1',
      kind: 'Project',
      labels,
      containers,
      services,
      jobs,
      volumes,
      network: { internet },
    };
  });

function pick(from: object, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([key, value]) => keys.includes(key) && value !== undefined));
}

/** The same data with the keys of every map in another order. */
export function shuffled(value: unknown, seed: number): unknown {
  if (Array.isArray(value)) return value.map((inner) => shuffled(inner, seed));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, shuffled(inner, seed)] as const);
  const turn = entries.length === 0 ? 0 : seed % entries.length;
  const turned = [...entries.slice(turn), ...entries.slice(0, turn)];
  return Object.fromEntries(seed % 2 === 0 ? turned : turned.toReversed());
}
