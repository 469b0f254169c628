import { expect, test } from 'vitest';
import { gitRights } from '#auth/authorise.ts';
import { builtInRoles, mayOf } from '#auth/roles.ts';
import type { Caller } from '#contract/caller.ts';
import type { PushView } from '#git/serve.ts';
import { checkPush } from '#publish/check-push.ts';
import { administrator, editorOf } from '#support/http.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();

/** A push that changes these paths; a leading `-` takes one away. The tree after it is empty but for one environment. */
const viewOf = (...paths: string[]): PushView => ({
  changed: async () =>
    paths.map((text) => {
      const removed = text.startsWith('-');
      const blob = 'a'.repeat(40);
      return removed ? { path: text.slice(1), before: blob } : { path: text, before: undefined, after: blob };
    }) as never,
  read: async () => undefined,
  children: async () => [],
  readBefore: async () => undefined,
  steps: async () => [],
});

/** The lines that speak of rights, for a push of these paths by this caller. */
async function refused(caller: Caller, ...paths: string[]): Promise<readonly string[]> {
  const { mayWrite } = gitRights(caller);
  const lines = await checkPush(db.database, { view: viewOf(...paths), mayWrite, ownKey: undefined });
  return lines.filter((line) => line.includes('is not yours to change'));
}

const spec = 'environments/local/shop/web/project.yaml';

test('the administrator may push everywhere', async () => {
  const everything = [
    spec,
    `-${spec}`,
    'environments/local/environment.yaml',
    'environments/platform/a.yaml',
    'README.md',
  ];
  expect(await refused(administrator, ...everything)).toEqual([]);
});

test('an editor pushes to the projects of the own teams, and may take them away', async () => {
  const caller = editorOf('shop', 'blog');
  const own = [
    spec,
    `-${spec}`,
    'environments/dev/blog/site/project.yaml',
    'environments/dev/blog/site/manifests.yaml',
  ];
  expect(await refused(caller, ...own)).toEqual([]);
});

test.each([
  ['environments/local/bank/web/project.yaml', 'state:write and project:write for team bank in local'],
  ['environments/local/bank/web/manifests.yaml', 'state:write and project:write for team bank in local'],
  [
    '-environments/local/bank/web/project.yaml',
    'state:write and project:write and project:delete for team bank in local',
  ],
  [
    'environments/local/environment.yaml',
    'state:write and project:write and environment:write for every team in local',
  ],
  [
    '-environments/local/environment.yaml',
    'state:write and project:write and environment:write for every team in local',
  ],
  ['environments/new/environment.yaml', 'state:write and project:write and environment:write for every team in new'],
  ['environments/platform/access.yaml', 'state:write and project:write for every team'],
  ['environments/platform/installation.yaml', 'state:write and project:write for every team'],
  ['environments/local/shop/web/other.yaml', 'state:write and project:write for every team'],
  ['environments/local/shop/project.yaml', 'state:write and project:write for every team'],
  ['stacks/index.ts', 'state:write and project:write for every team'],
  ['.gitattributes', 'state:write and project:write for every team'],
])('and nowhere else: %s', async (path, needs) => {
  // What is fine beside it does not help.
  const lines = await refused(editorOf('shop'), spec, path);
  expect(lines).toEqual([`${path.replace(/^-/, '')} is not yours to change: that needs ${needs}`]);
});

test('a project moves only between teams that are both the own', async () => {
  const move = [`-${spec}`, 'environments/local/blog/web/project.yaml'];
  expect(await refused(editorOf('shop', 'blog'), ...move)).toEqual([]);
  expect(await refused(editorOf('blog'), ...move)).toHaveLength(1);
  expect(await refused(editorOf('shop'), ...move)).toHaveLength(1);
});

test('environments bound a token here as well, state:write alone is not enough, and deleting is a right of its own', async () => {
  const dev: Caller = { ...administrator, environments: ['dev'] };
  expect(await refused(dev, 'environments/dev/shop/web/project.yaml', 'environments/dev/environment.yaml')).toEqual([]);
  expect(await refused(dev, spec)).toHaveLength(1);
  expect(await refused(dev, 'environments/platform/a.yaml')).toHaveLength(1);
  expect(gitRights(dev)).toMatchObject({ mayRead: false, mayPush: true });

  const only = (...permissions: (keyof typeof builtInRoles.editor)[]): Caller => ({
    ...administrator,
    may: new Map(permissions.map((permission) => [permission, ['shop']])),
  });
  expect(await refused(only('state:write'), spec)).toHaveLength(1);
  expect(await refused(only('project:write'), spec)).toHaveLength(1);
  expect(await refused(only('state:write', 'project:write'), spec)).toEqual([]);
  expect(await refused(only('state:write', 'project:write'), `-${spec}`)).toHaveLength(1);
});

test('environment.yaml takes what a switch of the environment takes, whoever may push every team’s projects', async () => {
  const { 'environment:write': _, ...rest } = builtInRoles.admin;
  const operator: Caller = { ...administrator, may: mayOf(rest, []) };
  const file = 'environments/local/environment.yaml';
  expect(await refused(operator, spec, 'README.md')).toEqual([]);
  expect(await refused(operator, file)).toEqual([
    `${file} is not yours to change: that needs state:write and project:write and environment:write for every team in local`,
  ]);
  expect(await refused(operator, `-${file}`)).toHaveLength(1);
  expect(await refused(administrator, file)).toEqual([]);
});

test('who may push nowhere, may not push; who reads, reads all of it', () => {
  expect(gitRights(editorOf('shop'))).toMatchObject({ mayRead: false, mayPush: true });
  expect(
    gitRights({ ...administrator, may: mayOf(builtInRoles.viewer, [{ team: 'shop', grants: null }]) }),
  ).toMatchObject({
    mayRead: false,
    mayPush: false,
  });
  expect(gitRights(administrator)).toMatchObject({ mayRead: true, mayPush: true });
});
