import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { formatFinding, InvalidInput } from '#environments/finding.ts';
import { environmentFile } from '#environments/layout.ts';
import { loadEnvironment, loadEnvironments } from '#environments/load.ts';
import type { EnvironmentInput } from '#environments/schema.ts';

const head = 'apiVersion: plinth.dev/v1\nkind: Environment\n';
const file = (name: string, more: string) => ({ path: environmentFile(name), content: Buffer.from(head + more) });

function findingsOf(run: () => unknown): string[] {
  try {
    run();
    return [];
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    return error.findings.map(formatFinding);
  }
}

describe('one environment', () => {
  test('is filled with defaults and frozen through and through', () => {
    const written: EnvironmentInput = { apiVersion: 'plinth.dev/v1', kind: 'Environment', domain: 'dev.example.com' };
    const environment = loadEnvironment('dev', JSON.stringify(written));
    expect([environment.name, environment.domain, environment.quota.pods]).toEqual(['dev', 'dev.example.com', 40]);
    expect(environment.network.deniedRanges).toContain('169.254.0.0/16');
    expect(() => Object.assign(environment.network.deniedRanges, { 0: '1.1.1.1/32' })).toThrow(TypeError);
    expect(() => Object.assign(environment.quota, { pods: 1 })).toThrow(TypeError);
  });

  test('has every fault found, in the order of the file', () => {
    const text = `${head}domain: apps.example.com\nedge: gatway\nquota: { cpus: 8, pods: many }\nnetwork: { deniedRanges: [10.1.2.3/8, 1.2.3.4/40] }\nhosts: { shop: [a.apps.example.com] }\n`;
    expect(findingsOf(() => loadEnvironment('dev', text))).toEqual([
      'environments/dev/environment.yaml:4:1 edge: it is "gatway"; wanted is one of ingress, gateway; did you mean gateway?',
      'environments/dev/environment.yaml:5:10 quota.cpus: there is no field cpus; did you mean cpu?',
      'environments/dev/environment.yaml:5:19 quota.pods: it is "many"; wanted is a number',
      'environments/dev/environment.yaml:6:27 network.deniedRanges[0]: 10.1.2.3/8 begins at 10.0.0.0/8; write that',
      'environments/dev/environment.yaml:6:39 network.deniedRanges[1]: 1.2.3.4/40 is no range such as 10.0.0.0/8',
    ]);
  });

  test('cannot give away hosts below its own domain, nor have a gateway edge without a gateway', () => {
    const text = `${head}domain: apps.example.com\nedge: gateway\nhosts: { shop: [a.apps.example.com] }\n`;
    expect(findingsOf(() => loadEnvironment('dev', text))).toEqual([
      'environments/dev/environment.yaml:1:1 ingress.gateway: edge: gateway needs ingress.gateway with name and namespace',
      'environments/dev/environment.yaml:5:17 hosts.shop[0]: a.apps.example.com lies below apps.example.com, whose hosts belong to projects by their names',
    ]);
  });

  test('looks for a cluster by itself only where it is local', () => {
    const text = `${head}domain: a.b\nruntime: auto\n`;
    expect(loadEnvironment('local', text).runtime).toBe('auto');
    expect(findingsOf(() => loadEnvironment('dev', text))).toEqual([
      'environments/dev/environment.yaml:4:1 runtime: only the environment local looks for a cluster by itself; say kubernetes or none',
    ]);
  });

  test('has a name of the right form', () => {
    expect(findingsOf(() => loadEnvironment('platform', `${head}domain: a.b`))).toEqual([
      'environments/platform/environment.yaml platform is the folder of the platform resources',
    ]);
    expect(findingsOf(() => loadEnvironment('Dev', `${head}domain: a.b`))[0]).toContain('"Dev"');
  });
});

describe('all environments', () => {
  test("the distribution's own are read", () => {
    const names = ['dev', 'local', 'production', 'staging'];
    const files = names.map((name) => ({ path: environmentFile(name), content: readFileSync(environmentFile(name)) }));
    expect([...loadEnvironments(files).keys()]).toEqual(names);
  });

  test('other files are passed over', () => {
    const files = [
      file('dev', 'domain: d.x'),
      { path: 'environments/dev/shop/web/project.yaml', content: Buffer.from('[') },
    ];
    expect([...loadEnvironments(files).keys()]).toEqual(['dev']);
  });

  test('two may not share a domain, `next` must be there and never lead back; faults of all files come at once', () => {
    const files = [
      file('dev', 'domain: x.example.com\nnext: prod'),
      file('prod', 'domain: x.example.com\nnext: dev'),
      file('test', 'domain: t.example.com\nnext: nowhere'),
    ];
    expect(findingsOf(() => loadEnvironments(files))).toEqual([
      'environments/prod/environment.yaml:3:1 domain: domain x.example.com belongs to environment dev; give each its own',
      'environments/dev/environment.yaml:4:1 next: promotion goes in a circle: dev → prod → dev',
      'environments/prod/environment.yaml:4:1 next: promotion goes in a circle: prod → dev → prod',
      'environments/test/environment.yaml:4:1 next: there is no environment nowhere; there are dev, prod, test',
    ]);
    const broken = [file('dev', 'domain: "?"'), file('test', 'domain: a.b\nbogus: 1')];
    expect(findingsOf(() => loadEnvironments(broken)).map((text) => text.split(' ')[0])).toEqual([
      'environments/dev/environment.yaml:3:1',
      'environments/test/environment.yaml:4:1',
    ]);
  });
});
