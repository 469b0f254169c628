import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { admin } from '#support/control-plane.ts';
import { git, runGit } from '#support/git.ts';
import { type StateClone, stateUrl } from '#support/state-clone.ts';
import { describeWalk, projectPath, put, smallest } from '#support/walk.ts';

const spec = (containers: string, more = '') =>
  `apiVersion: plinth.dev/v1\nkind: Project\n${more}containers:\n${containers}`;

/** Specs that both doors refuse, with what they say and where. */
const badSpecs: Readonly<Record<string, { text: string; says: RegExp; line?: number }>> = {
  'malformed YAML': { text: spec('  web: { image: "nginx:1", port: 8080\n'), says: /is not YAML/, line: 5 },
  'huge YAML': { text: `${smallest}# ${'x'.repeat(300 * 1024)}\n`, says: /bytes; the most is 262144/ },
  'deeply nested YAML': {
    text: `${smallest}labels: ${'['.repeat(200)}${']'.repeat(200)}\n`,
    says: /nest deeper than 32 levels/,
    line: 5,
  },
  'an alias bomb': {
    text: `a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 8 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`).join('\n')}\n`,
    says: /more than 20000 values once its aliases are expanded/,
  },
  'an unknown field': {
    text: spec('  web: { imge: "nginx:1", port: 8080 }\n'),
    says: /there is no field imge; did you mean image\?/,
    line: 4,
  },
  'names that collide': {
    text: spec('  db: { image: "nginx:1", port: 8080 }\n', 'services: { db: postgres }\n'),
    says: /db is also one of the/,
  },
  'volumes that collide': {
    text: spec('  web: { image: "nginx:1", port: 8080 }\n', 'volumes: { db: 1Gi }\nservices: { db: postgres }\n'),
    says: /its claim db is also the one of volume db/,
  },
  'an image that is none': {
    text: spec('  web: { image: "Nginx:::1", port: 8080 }\n'),
    says: /"Nginx:::1" is no image/,
    line: 4,
  },
  'a port twice': {
    text: spec('  web: { image: "nginx:1", port: 8080, ports: { extra: 8080 } }\n'),
    says: /port 8080 is used twice: by port and extra/,
    line: 4,
  },
  'cyclic dependsOn': {
    text: spec(
      '  web: { image: "nginx:1", port: 8080, dependsOn: [api] }\n  api: { image: "nginx:1", port: 8080, dependsOn: [web] }\n',
    ),
    says: /web.*api|api.*web/,
  },
  'a key twice': {
    text: spec('  web: { image: "nginx:1", port: 8080, image: "nginx:2" }\n'),
    says: /key image stands twice/,
    line: 4,
  },
  'a foreign host': {
    text: spec('  web: { image: "nginx:1", port: 8080, route: { host: shop.example.com } }\n'),
    says: /does not list host shop.example.com for team pushes/,
    line: 4,
  },
};

describeWalk('a push is judged before it comes in', (walk) => {
  let clone: StateClone;
  const folder = 'environments/local/pushes';
  const file = `${folder}/web-shop/project.yaml`;
  const listing = `apiVersion: plinth.dev/v1\nkind: Environment\nruntime: auto\ndomain: apps.localhost\nhosts: { pushes: [shop.example.com] }\n`;

  beforeAll(async () => {
    clone = await walk.clone();
    await clone.push({ 'environments/local/environment.yaml': listing.replace('shop.example.com', 'one.example.com') });
  });

  /** The push must be refused with these words in the pusher's terminal, and leave the repository as it was. */
  const refused = async (push: () => Promise<{ code: number; stderr: string }>, ...says: (string | RegExp)[]) => {
    await clone.reset();
    const before = await clone.remoteTip();
    const { code, stderr } = await push();
    // git breaks long lines of the other side at the width of a terminal, never within its prefix.
    const text = stderr.replaceAll(/remote: ?/g, '').replaceAll(/[ \t]*\n/g, '\n');
    expect(code, text).not.toBe(0);
    for (const words of says) expect(text).toMatch(words);
    expect(await clone.remoteTip()).toBe(before);
  };

  for (const [what, { text, says, line }] of Object.entries(badSpecs)) {
    test(`${what}: refused in the terminal and by the API`, async () => {
      await refused(
        () => clone.push({ [file]: text }),
        says,
        `${file}${line === undefined ? '' : `:${line}`}`,
        'pre-receive hook declined',
      );
      const answer = await walk.plinth.request('PUT', projectPath('pushes/web-shop'), text);
      expect([answer.status, answer.body.code], answer.text).toEqual([422, 'SPEC_INVALID']);
      const finding = answer.body.findings.find(({ message, path }: { message: string; path: string }) =>
        says.test(`${path}: ${message}`),
      );
      expect(finding, answer.text).toMatchObject({ file, ...(line === undefined ? {} : { line }) });
      expect((await walk.plinth.request('GET', projectPath('pushes/web-shop'))).status).toBe(404);
    });
  }

  test('all that is wrong comes at once', async () => {
    const wrong = spec('  web: { image: "Nginx:::1", prt: 8080 }\n  api: { image: "nginx:1", port: 99999 }\n');
    await refused(
      () => clone.push({ [file]: wrong, [`${folder}/other-one/project.yaml`]: 'kind: Nothing\n' }),
      /there is no field prt; did you mean port/,
      /99999/,
      /other-one\/project\.yaml/,
    );
  });

  const routed = spec('  web: { image: "nginx:1", port: 8080, route: { host: shop.example.com } }\n');
  test('two projects with one host, in one push and against one that is there', async () => {
    await clone.reset();
    const allowed = await clone.push({ 'environments/local/environment.yaml': listing });
    expect(allowed.code, allowed.stderr).toBe(0);
    await refused(
      () => clone.push({ [`${folder}/first/project.yaml`]: routed, [`${folder}/second/project.yaml`]: routed }),
      /second\/project.yaml.*host shop.example.com belongs to local\/pushes\/first/,
    );
    await put(walk.plinth, 'pushes/first', routed);
    await clone.reset();
    await refused(
      () => clone.push({ [`${folder}/second/project.yaml`]: routed }),
      /host shop.example.com belongs to local\/pushes\/first/,
    );
    expect((await walk.plinth.request('PUT', projectPath('pushes/second'), routed)).body).toMatchObject({
      status: 409,
      code: 'HOST_TAKEN',
      data: { host: 'shop.example.com', owner: 'local/pushes/first' },
    });
  });

  test('a host goes from one project to another in one push', async () => {
    await clone.reset();
    const moved = await clone.push({
      [`${folder}/first/project.yaml`]: routed.replace('route: { host: shop.example.com }', 'route: /'),
      [`${folder}/a-second/project.yaml`]: routed,
    });
    expect(moved.code, moved.stderr).toBe(0);
    const view = await walk.plinth.until(projectPath('pushes/a-second'), ({ phase }) => phase === 'applied');
    expect(view.hosts).toEqual(['https://shop.example.com']);
    expect((await walk.plinth.request('GET', projectPath('pushes/first'))).body.hosts).toEqual([
      'https://first--pushes.apps.localhost',
    ]);
    await clone.reset();
  });

  test('of two PUTs that claim one host at once, one comes in and the other says whose it is', async () => {
    await clone.reset();
    await clone.push({ 'environments/local/environment.yaml': listing.replace('[shop', '[both.example.com, shop') });
    const both = routed.replace('shop.example.com', 'both.example.com');
    const answers = await Promise.all(
      ['left', 'right'].map((name) => walk.plinth.request('PUT', projectPath(`pushes/${name}`), both)),
    );
    const ends = await Promise.all(
      answers.map(async ({ status, body }) =>
        status === 202
          ? (await walk.plinth.request('GET', `/api/v1/changes/${body.id}?wait=20`)).body
          : { problem: body },
      ),
    );
    expect(ends.map(({ problem }) => problem?.code ?? 'in').sort()).toEqual(['HOST_TAKEN', 'in']);
    await clone.reset();
  });

  test('names that cannot be used', async () => {
    for (const [path, says] of [
      ['environments/local/pushes/UPPER/project.yaml', /lower case/],
      ['environments/local/a-team-with-a-far-too-long-name/web-shop/project.yaml', /3 to 17 characters/],
      ['environments/local/pushes/pr-12/project.yaml', /previews/],
      ['environments/nowhere/pushes/web-shop/project.yaml', /nowhere\/environment\.yaml.* is missing/],
      ['environments/local/pushes/web-shop/notes.md', /has no meaning here/],
      ['environments/local/pushes/web-shop/deep/project.yaml', /has no meaning here/],
    ] as const)
      await refused(() => clone.push({ [path]: smallest }), says);
    expect((await walk.plinth.request('PUT', projectPath('pushes/UPPER'), smallest)).status).toBe(400);
    expect((await walk.plinth.request('PUT', projectPath('pushes/pr-12'), smallest)).status).toBe(422);
  });

  test('a symbolic link', async () => {
    const link = async () => {
      mkdirSync(join(clone.directory, dirname(file)), { recursive: true });
      symlinkSync('/etc/passwd', join(clone.directory, file));
      return await clone.push({});
    };
    await refused(link, /symbolic link/);
  });

  test('a submodule', async () => {
    const submodule = async () => {
      const tip = (await clone.git('rev-parse', 'HEAD')).stdout.trim();
      await clone.git('update-index', '--add', '--cacheinfo', `160000,${tip},${folder}/module`);
      await clone.git('commit', '--quiet', '--message', 'A submodule');
      return await clone.git('push', '--quiet', 'origin', 'HEAD:main');
    };
    await refused(submodule, /submodule/);
  });

  test('a path with .. in it, which only a hand-made tree has', async () => {
    const climb = async () => {
      const blob = (await runGit(clone.directory, ['hash-object', '-w', '--stdin'], { input: smallest })).stdout.trim();
      const bytes = (text: string) => Buffer.from(text, 'latin1');
      const treeOf = async (mode: string, name: string, id: string) => {
        const content = Buffer.concat([bytes(`${mode} ${name}\0`), Buffer.from(id, 'hex')]);
        const args = ['hash-object', '-t', 'tree', '-w', '--stdin', '--literally'];
        return (await runGit(clone.directory, args, { input: content })).stdout.trim();
      };
      const inner = await treeOf('100644', 'project.yaml', blob);
      const root = await treeOf('40000', 'environments', await treeOf('40000', '..', inner));
      const commit = (await git(clone.directory, 'commit-tree', root, '-p', 'HEAD', '-m', 'Climb')).trim();
      return await clone.git('push', '--quiet', 'origin', `${commit}:main`);
    };
    await refused(climb, /\.\./);
  });

  test('manifests alone, by hand', async () => {
    await clone.reset();
    const manifests = `${folder}/first/manifests.yaml`;
    await refused(
      () => clone.push({ [manifests]: clone.read(manifests).replace('nginx:1', 'evil:1') }),
      /is written by Plinth only/,
    );
    await refused(() => clone.push({ [manifests]: null }), /is written by Plinth only/);
    const renamed = (content: string) =>
      clone.push({
        [`${folder}/first`]: null,
        [`${folder}/renamed/project.yaml`]: clone.read(`${folder}/first/project.yaml`),
        [`${folder}/renamed/manifests.yaml`]: content,
      });
    await refused(() => renamed(`${clone.read(manifests)}# and more\n`), /is written by Plinth only/);
    await refused(
      () => clone.push({ [`${folder}/ghost/manifests.yaml`]: clone.read(manifests) }),
      /is written by Plinth only/,
    );
  });

  test('an environment.yaml that is wrong, or shares its domain, and files that are Plinth’s own', async () => {
    const environment = (text: string) => clone.push({ 'environments/local/environment.yaml': text });
    await refused(() => environment('kind: Environment\n'), /local\/environment\.yaml.*apiVersion/);
    await refused(
      () => environment(listing.replace('domain', 'domian')),
      /there is no field domian; did you mean domain/,
    );
    await refused(
      () => environment(listing.replace('apps.localhost', 'dev.example.com').replace('dev.example.com', devDomain())),
      /domain/,
    );
    await refused(
      () => clone.push({ 'environments/platform/installation.yaml': 'installation: ins_other\n' }),
      /belongs to Plinth/,
    );
    await refused(
      () =>
        clone.push({
          'environments/dev/environment.yaml': null,
          'environments/dev/pushes/web-shop/project.yaml': smallest,
        }),
      /dev\/environment\.yaml.* is missing/,
    );
  });
  const devDomain = () => /domain: (\S+)/.exec(clone.read('environments/dev/environment.yaml'))?.[1] ?? '';

  test('another branch, a tag, a rewritten history, the end of the branch', async () => {
    await refused(() => clone.git('push', '--quiet', 'origin', 'HEAD:refs/heads/other'), /has one branch, main/);
    await refused(() => clone.git('push', '--quiet', 'origin', 'HEAD:refs/tags/v1'), /has one branch, main/);
    await refused(() => clone.git('push', '--quiet', 'origin', ':main'), /main/);
    await refused(() => clone.git('push', '--quiet', '--force', 'origin', 'HEAD~1:main'), /never rewritten|rejected/);
  });

  test('nobody comes in without a right', async () => {
    const clones = (email: string, password: string) =>
      runGit(walk.directory, ['clone', '--quiet', stateUrl(walk.plinth, { email, password }), 'stolen']);
    for (const [email, password] of [
      [admin.email, 'not the password'],
      ['token', 'plt_00000000000000000000000000000000'],
    ] as const) {
      const { code, stderr } = await clones(email, password);
      expect([code, stderr]).toEqual([128, expect.stringMatching(/Authentication failed|not known here/)]);
    }
    const anonymous = await fetch(`${walk.plinth.url}/git/state.git/info/refs?service=git-receive-pack`);
    expect([anonymous.status, anonymous.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('Basic'),
    ]);
  });

  test('a body over the limit', async () => {
    const big = await walk.plinth.request(
      'PUT',
      projectPath('pushes/web-shop'),
      `${smallest}# ${'x'.repeat(2 ** 20)}\n`,
    );
    expect(big).toMatchObject({ status: 413, body: { code: 'BODY_TOO_LARGE' } });
    await refused(
      () => clone.push({ [file]: `${smallest}# ${'x'.repeat(2 ** 20)}\n` }),
      /the file has \d+ bytes; the most is 1048576/,
    );
  });

  test('an environment cannot go while its projects stand in the cluster', async () => {
    await walk.plinth.until(projectPath('pushes/first'), ({ phase }) => phase === 'applied');
    await refused(
      () => clone.push({ 'environments/local': null }),
      /local\/environment\.yaml.*still have objects in the cluster; delete these first/,
    );
    // Where nothing runs, an environment goes with its folder.
    await clone.reset();
    const removed = await clone.push({
      'environments/staging': null,
      'environments/dev/environment.yaml': withoutNext(),
    });
    expect(removed.code, removed.stderr).toBe(0);
    const names = (await walk.plinth.request('GET', '/api/v1/environments')).body.items.map(
      ({ name }: { name: string }) => name,
    );
    expect(names).toEqual(['dev', 'local', 'production']);
    await clone.reset();
  });
  const withoutNext = () => clone.read('environments/dev/environment.yaml').replace(/^next: .*\n/m, '');

  test('a spec whose secret is not set comes in, and its project says what it waits for', async () => {
    await clone.reset();
    const needy = spec('  web: { image: "nginx:1", port: 8080, secrets: [api-key] }\n');
    expect((await clone.push({ [`${folder}/needy/project.yaml`]: needy })).code).toBe(0);
    const view = await walk.plinth.until(projectPath('pushes/needy'), ({ phase }) => phase === 'failed');
    expect(view).toMatchObject({ health: 'unknown', problem: { code: 'SECRET_NOT_ALLOWED' } });
    await walk.plinth.request('PUT', `${projectPath('pushes/needy')}/secrets/api-key`, { value: 'now it is there' });
    await walk.plinth.until(
      projectPath('pushes/needy'),
      ({ phase, health }) => phase === 'applied' && health === 'healthy',
    );
  });

  test('a volume that would shrink, and lose its data', async () => {
    await clone.reset();
    const disk = (size: string) => ({
      [`${folder}/disk/project.yaml`]: spec(
        '  web: { image: "nginx:1", port: 8080, mounts: { /data: data } }\n',
        `volumes: { data: ${size} }\n`,
      ),
    });
    expect((await clone.push(disk('2Gi'))).code).toBe(0);
    await walk.plinth.until(projectPath('pushes/disk'), ({ phase }) => phase === 'applied');
    await clone.reset();
    const pushed = await clone.push(disk('1Gi'));
    expect(pushed.code).toBe(1);
    expect(pushed.stderr).toMatch(/disk\/project.yaml volumes.data: it has 2Gi and cannot shrink to 1Gi/);
  });

  test('after all of this a good push comes in and runs', async () => {
    await clone.reset();
    const pushed = await clone.push({ [file]: smallest });
    expect(pushed.code, pushed.stderr).toBe(0);
    await walk.plinth.until(
      projectPath('pushes/web-shop'),
      ({ phase, health }) => phase === 'applied' && health === 'healthy',
    );
    await clone.reset();
    expect(clone.read(`${folder}/web-shop/manifests.yaml`)).toContain('kind: Deployment');
    const state = join(walk.directory, 'data/state.git');
    expect((await runGit(walk.directory, ['--git-dir', state, 'fsck', '--strict'])).code).toBe(0);
  });
});
