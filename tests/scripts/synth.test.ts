import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTemporaryDirectory } from '#support/temporary.ts';

const script = join(import.meta.dirname, '../../scripts/synth.ts');
const golden = join(import.meta.dirname, '../golden');

describe('npm run synth', () => {
  const folder = useTemporaryDirectory('plinth-synth');
  const projects = join(folder, 'environments/local/atlas');
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
      cwd: folder,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  beforeAll(() => {
    mkdirSync(projects, { recursive: true });
    cpSync(join(golden, 'local/environment.yaml'), join(folder, 'environments/local/environment.yaml'));
    for (const name of ['smallest', 'stateful'])
      cpSync(join(golden, 'local', name, 'project.yaml'), join(projects, name, 'project.yaml'));
  });

  test('writes manifests.yaml beside every spec of a state repository, and then finds them up to date', () => {
    expect(run('.')).toMatchObject({
      status: 0,
      stdout: `environments/local/atlas/smallest/manifests.yaml: written, 10 objects
environments/local/atlas/stateful/manifests.yaml: written, 14 objects
`,
    });
    const written = readFileSync(join(projects, 'smallest/manifests.yaml'), 'utf8');
    expect(written).toBe(readFileSync(join(golden, 'local/smallest/manifests.yaml'), 'utf8'));
    expect(run('.', '--check').status).toBe(0);
    expect(run('environments/local/atlas/stateful').stdout).toBe(
      'environments/local/atlas/stateful/manifests.yaml: unchanged, 14 objects\n',
    );
  });

  test('--check says what is out of date, without writing', () => {
    writeFileSync(join(projects, 'smallest/manifests.yaml'), '# edited\n');
    const { status, stdout } = run('.', '--check');
    expect([status, stdout.split('\n')[0]]).toEqual([
      1,
      'environments/local/atlas/smallest/manifests.yaml: is not what its spec renders to; run npm run synth',
    ]);
    expect(readFileSync(join(projects, 'smallest/manifests.yaml'), 'utf8')).toBe('# edited\n');
  });

  test('one folder with an environment named, printed', () => {
    const place = [join(golden, 'local/smallest'), '--environment', join(golden, 'local/environment.yaml')];
    const { status, stdout } = run(...place, '--as', 'atlas/smallest', '--print');
    expect([status, stdout]).toEqual([0, readFileSync(join(golden, 'local/smallest/manifests.yaml'), 'utf8')]);
  });

  test('faults of all files are printed as file:line:column, and it fails', () => {
    for (const name of ['broken-one', 'broken-two']) {
      mkdirSync(join(projects, name));
      writeFileSync(join(projects, name, 'project.yaml'), 'apiVersion: plinth.dev/v1\nkind: Project\ncontainer: {}\n');
    }
    const { status, stderr } = run('.', '--check');
    expect(status).toBe(1);
    expect(stderr.split('\n').filter((line) => line.includes('broken'))).toEqual([
      'environments/local/atlas/broken-one/project.yaml:3:1 container: there is no field container; did you mean containers?',
      'environments/local/atlas/broken-two/project.yaml:3:1 container: there is no field container; did you mean containers?',
    ]);
  });

  test('a spec that lies in no environment is rendered for the local one of the distribution', () => {
    for (const place of ['local/smallest', 'local/smallest/project.yaml'])
      expect(run(join(golden, place), '--print').stdout).toContain('name: local--team--smallest');
  });

  test('a folder that holds no spec, or is not there, fails with words', () => {
    expect(run(join(golden, '../rules')).stderr).toContain(
      'there is no environments/<environment>/<team>/<project>/project.yaml below',
    );
    expect(run('nowhere')).toMatchObject({ status: 1, stderr: expect.stringContaining('cannot read nowhere') });
  });
});
