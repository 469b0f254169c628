import { describe, expect, test } from 'vitest';
import { formatFinding, InvalidInput } from '#environments/finding.ts';
import { loadEnvironment } from '#environments/load.ts';
import type { Environment } from '#environments/schema.ts';
import { hostLabel } from '#synth/hosts.ts';
import { loadProject } from '#synth/project.ts';
import { render } from '#synth/render.ts';
import { faultCases, web } from './fault-cases.ts';

const local = loadEnvironment('local', environmentText(''));
const key = { environment: 'local', team: 'atlas', project: 'shop' };

function environmentText(more: string): string {
  return `apiVersion: plinth.dev/v1\nkind: Environment\ndomain: apps.localhost\n${more}`;
}

/** Findings of a spec whose first line is line 3, as `line:column path: message`. */
function findingsOf(body: string, environment: Environment = local): string[] {
  try {
    render({ environment, key, spec: `apiVersion: plinth.dev/v1\nkind: Project\n${body}\n` });
    return [];
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    return error.findings.map((finding) =>
      formatFinding(finding).replace('environments/local/atlas/shop/project.yaml:', ''),
    );
  }
}

describe('faults of a spec are all found, each with place, what came and what was wanted', () => {
  for (const [what, body, ...findings] of faultCases) test(what, () => expect(findingsOf(body)).toEqual(findings));

  test('several faults of one file come at once, from its top down', () => {
    const body =
      'containers:\n  web: { image: "A!", port: 80, route: { host: x.example.com } }\n  api: { image: "a:1", dependsOn: [bd] }\nservices: { db: redis }';
    expect(findingsOf(body)).toEqual([
      '4:10 containers.web.image: "A!" is no image; wanted is [host/]path[:tag][@digest] in lower case',
      '5:36 containers.api.dependsOn[0]: there is no container, service or job bd; did you mean db?',
    ]);
  });

  test('the environment decides about hosts, access and egress', () => {
    const lists = loadEnvironment(
      'local',
      environmentText(
        'hosts: { atlas: [shop.example.com] }\nedge: gateway\ningress: { gateway: { name: g, namespace: g } }\nnetwork: { egress: [{ cidr: 10.20.0.0/16, ports: [5432] }] }\npullSecret: registry',
      ),
    );
    expect(findingsOf(`${web}, route: { host: shop.exmple.com } }`, lists)).toEqual([
      '4:49 containers.web.route.host: environment local does not list host shop.exmple.com for team atlas; did you mean shop.example.com?',
    ]);
    expect(findingsOf(`${web}, route: { access: team } }`, lists)).toEqual([
      '4:49 containers.web.route.access: access: team needs edge: ingress, and environment local has edge: gateway',
    ]);
    expect(findingsOf(`${web} }\nnetwork: { egress: [{ cidr: 10.20.1.0/24, ports: [22] }] }`, lists)).toEqual([
      '5:43 network.egress[0].ports: environment local lists 10.20.1.0/24 with ports 5432, not 22',
    ]);
    expect(findingsOf(`${web}, secrets: [registry] }`, lists)).toEqual([
      "1:1 secret registry is the environment's pull secret; call yours by another name",
    ]);
  });

  test('numbers and switches where text is wanted are taken as they are written', () => {
    const body = `${web}, args: [--port, 8080, 1.10, true], resources: { cpu: 2 } }\nservices: { db: { kind: postgres, version: 17 } }`;
    const { containers, services } = loadProject(`apiVersion: plinth.dev/v1\nkind: Project\n${body}\n`);
    expect(containers.web).toMatchObject({ args: ['--port', '8080', '1.10', 'true'], resources: { cpu: '2' } });
    expect(services.db).toMatchObject({ version: '17' });
  });

  test('what would grow beyond measure is refused: aliases, `like`, patches that copy, thousands of unknown fields', () => {
    const long = 'x'.repeat(30_000);
    expect(findingsOf(`containers: { web: { image: "a:1", args: [&a ${long}${', *a'.repeat(120)}] } }`)).toEqual([
      '3:46 the file holds more than 1048576 characters once its aliases are expanded',
    ]);
    const many = Array.from({ length: 40 }, (_, index) => `\n  w${index}: { like: web }`).join('');
    expect(findingsOf(`containers:\n  web: { image: "a:1", env: { A: ${long}, B: ${long} } }${many}`)[0]).toMatch(
      /^1:1 with every like carried out it has \d+ characters; the most is 1000000$/,
    );
    const copies = Array.from(
      { length: 40 },
      (_, at) => `{ op: copy, from: /spec/template, path: /spec/template/x${at} }`,
    );
    expect(findingsOf(`${web} }\npatches: [{ target: { kind: Deployment, name: web }, patch: [${copies}] }]`)).toEqual([
      expect.stringMatching(/cannot be applied to Deployment web: the object has more than 500000 characters$/),
    ]);
    const fields = Array.from({ length: 4000 }, (_, index) => `k${index}: 1`).join('\n');
    expect(findingsOf(fields)).toHaveLength(100);
  });

  test('no host label can be longer than 63, whatever the names', () => {
    const longest = hostLabel({ team: 't'.repeat(17), project: 'p'.repeat(20) }, 'c'.repeat(20));
    expect(longest.length).toBe(61);
  });

  test('names of the folders are checked like the spec', () => {
    const spec = `apiVersion: plinth.dev/v1\nkind: Project\n${web} }\n`;
    const refused = (wrong: object) => () => render({ environment: local, key: { ...key, ...wrong }, spec });
    expect(refused({ team: 'platform' })).toThrow('team platform is reserved');
    expect(refused({ project: 'a--b' })).toThrow('"a--b" is no name for the project: 3 to 20 characters');
    expect(refused({ environment: 'dev' })).toThrow('it lies below dev, not local');
  });
});
