import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadEnvironment } from '#environments/load.ts';
import { describeWithCluster } from '#support/cluster.ts';
import { admin, type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { render } from '#synth/render.ts';

/** Without characters that a URL would need to escape: the page's session puts it into one. */
const password = 'of-the-readme-1';

/** One command of a `console` block with the output that the page shows; `…` there stands for anything. */
interface Step {
  readonly command: string;
  readonly output: string;
}

function readSteps(page: string): readonly Step[] {
  const steps: Step[] = [];
  for (const [, block = ''] of page.matchAll(/```console\n([\s\S]*?)```/g)) {
    for (const line of block.trimEnd().split('\n')) {
      const last = steps.at(-1);
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: '' });
      else if (last !== undefined && line.startsWith('> '))
        steps[steps.length - 1] = { ...last, command: `${last.command}\n${line.slice(2)}` };
      else if (last !== undefined) steps[steps.length - 1] = { ...last, output: `${last.output}${line}\n` };
    }
  }
  return steps;
}

const toPattern = (output: string) =>
  new RegExp(
    `^${output
      .trim()
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[\\s\\S]*?')}$`,
  );

describeWithCluster('the session of the README', (cluster) => {
  const { path, remove } = temporaryDirectory('plinth-readme');
  let plinth: ControlPlane;
  beforeAll(async () => {
    plinth = await startControlPlane({
      dataDirectory: `${path}/data`,
      environment: { KUBECONFIG: cluster().kubeconfig, AUTH_ADMIN_PASSWORD: password },
    });
  });
  afterAll(async () => {
    await plinth?.stop();
    remove();
  });

  test('runs as the page shows it', async () => {
    const steps = readSteps(readFileSync(new URL('../../README.md', import.meta.url), 'utf8'));
    expect(steps.length).toBeGreaterThan(10);
    const mark = '----8<----';
    const script = steps.map(({ command }) => `${command}\necho '${mark}'`).join('\n');
    const shell = spawn('bash', ['-s'], {
      cwd: path,
      env: {
        PATH: process.env.PATH,
        HOME: path,
        PLINTH: plinth.url,
        LOGIN: `${admin.email}:${password}`,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_TERMINAL_PROMPT: '0',
        GIT_AUTHOR_NAME: 'Ann',
        GIT_AUTHOR_EMAIL: 'ann@example.com',
        GIT_COMMITTER_NAME: 'Ann',
        GIT_COMMITTER_EMAIL: 'ann@example.com',
      },
    });
    shell.stdin.end(script);
    const [output, errors] = await Promise.all([text(shell.stdout), text(shell.stderr), once(shell, 'exit')]);
    const outputs = output.split(`${mark}\n`);
    for (const [i, step] of steps.entries())
      expect(outputs[i]?.trim(), `${step.command}\n${errors}`).toMatch(toPattern(step.output));
  });
});

test('the specs on the page are valid', () => {
  const page = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const specs = [...page.matchAll(/```yaml\n(apiVersion: plinth[\s\S]*?)```/g)].map(([, spec = '']) => spec);
  const environment = loadEnvironment(
    'local',
    'apiVersion: plinth.dev/v1\nkind: Environment\ndomain: apps.example.com\n',
  );
  expect(specs).toHaveLength(1);
  for (const spec of specs) {
    const rendered = render({ environment, key: { environment: 'local', team: 'acme', project: 'shop' }, spec });
    expect(rendered.hosts).toEqual(['shop--acme.apps.example.com']);
  }
});
