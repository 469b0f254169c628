import { beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { loadEnvironment } from '#environments/load.ts';
import { commit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import { commitSettings, type ManifestSettings } from '#publish/settings.ts';
import { readChanges } from '#publish/store.ts';
import { captureLog } from '#support/captured-log.ts';
import { newCommit, useRepository } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const local = 'environments/local/environment.yaml';
const yaml = (domain: string, more = '') => `apiVersion: plinth.dev/v1\nkind: Environment\ndomain: ${domain}\n${more}`;

let repository: Repository;
let log: ReturnType<typeof captureLog>;
beforeEach(async () => {
  repository = await useRepository();
  log = captureLog();
  await db.database.query('truncate changes');
});

const push = async (files: Record<string, string | null>) =>
  (await commit(repository, { expected: await repository.tip(), commits: [newCommit(files, 'By hand')] }))[0];
const settle = (values: ManifestSettings) =>
  commitSettings({ repository, database: db.database, clock: systemClock, log: log.log }, values);
const read = async (path = local) => {
  const content = await repository.read((await repository.tip()) ?? '', path);
  return content === undefined ? undefined : Buffer.from(content).toString('utf8');
};
const faultsOf = async (values: ManifestSettings) => {
  const before = await repository.tip();
  const error = await settle(values).catch((thrown: unknown) => thrown);
  expect(Fault.is(error, 'CONFIG_INVALID')).toBe(true);
  expect(await repository.tip()).toBe(before);
  return String((error as Fault).data.faults).split('\n');
};

describe('the commit', () => {
  test('is by the actor settings, says what it did, and stands among the changes', async () => {
    await push({ [local]: yaml('apps.localhost', 'storage:\n  class: standard\n') });
    const revision = await settle({ storageClass: 'fast', ingressClass: 'nginx' });
    expect(await repository.tip()).toBe(revision);
    const { author, subject, trailers } = await repository.describe(revision ?? '');
    expect({ author, subject, actor: trailers['Plinth-Actor'] }).toEqual({
      author: { name: 'settings', email: 'settings@plinth.localhost' },
      subject: 'Settings of local: storage.class, ingress.class',
      actor: 'settings',
    });
    const [change] = await readChanges(db.database, { limit: 10 });
    expect(change).toMatchObject({
      id: trailers['Plinth-Change'],
      kind: 'settings',
      environment: 'local',
      team: '',
      project: '',
      actor: 'settings',
      state: 'committed',
      revision,
    });
    expect(loadEnvironment('local', (await read()) ?? '')).toMatchObject({
      storage: { class: 'fast' },
      ingress: { class: 'nginx' },
    });
    expect(
      log.lines().map(({ level, path, before, after, byHand }) => ({ level, path, before, after, byHand })),
    ).toEqual([
      { level: 'warn', path: 'storage.class', before: 'standard', after: 'fast', byHand: true },
      { level: 'info', path: 'ingress.class', before: undefined, after: 'nginx', byHand: false },
    ]);
  });

  test('does not come when nothing differs', async () => {
    const tip = await push({ [local]: yaml('apps.localhost', 'storage: { class: fast }\n') });
    expect(await settle({ storageClass: 'fast', domain: 'apps.localhost' })).toBe(undefined);
    expect(await repository.tip()).toBe(tip);
    expect(await readChanges(db.database, { limit: 10 })).toEqual([]);
    expect(log.lines()).toEqual([]);
  });

  test('comes once for two replicas that start at once', async () => {
    await push({ [local]: yaml('apps.localhost') });
    const revisions = await Promise.all([settle({ storageClass: 'fast' }), settle({ storageClass: 'fast' })]);
    expect(revisions.filter((one) => one !== undefined)).toEqual([await repository.tip()]);
    expect((await repository.history(local, { limit: 10 })).length).toBe(2);
  });

  test('goes on top of what was pushed meanwhile', async () => {
    await push({ [local]: yaml('apps.localhost') });
    // The push comes between the look at the tip and the commit.
    let pushed = false;
    const late: Repository = {
      ...repository,
      readMany: async (revision, paths) => {
        const contents = await repository.readMany(revision, paths);
        if (!pushed) {
          pushed = true;
          await push({ [local]: yaml('apps.localhost', 'image: node:24\n') });
        }
        return contents;
      },
    };
    await commitSettings(
      { repository: late, database: db.database, clock: systemClock, log: log.log },
      { storageClass: 'fast' },
    );
    const { image, storage } = loadEnvironment('local', (await read()) ?? '');
    expect({ image, class: storage.class }).toEqual({ image: 'node:24', class: 'fast' });
  });
});

describe('a value that the file cannot hold', () => {
  test('is refused with the name of its setting, all of them at once, and nothing is committed', async () => {
    await push({ [local]: yaml('apps.localhost') });
    expect(await faultsOf({ storageClass: 'Not A Class', volumeSize: '10', image: 'node:24' })).toEqual([
      '  - K8S_STORAGE_CLASS does not fit into environments/local/environment.yaml: storage.class: it is "Not A Class"; wanted is the name of a Kubernetes object',
      '  - K8S_PVC_SIZE does not fit into environments/local/environment.yaml: storage.size: it is "10"; wanted is an amount with its unit such as 256Mi or 10Gi',
    ]);
  });

  test('also when it is another environment’s domain', async () => {
    await push({
      [local]: yaml('apps.localhost'),
      'environments/dev/environment.yaml': yaml('apps.example.com'),
      'environments/staging/environment.yaml': yaml('staging.example.com'),
    });
    for (const [domain, where, other] of [
      ['apps.example.com', 'local', 'dev'],
      ['staging.example.com', 'staging', 'local'],
    ])
      expect(await faultsOf({ domain, image: 'node:24' })).toEqual([
        `  - PROJECTS_DOMAIN or APP_DOMAIN does not fit into environments/${where}/environment.yaml: domain: domain ${domain} belongs to environment ${other}; give each its own`,
      ]);
  });

  test('or has a team’s own host below it', async () => {
    await push({ [local]: yaml('apps.localhost', 'hosts: { shop: [shop.example.com] }\n') });
    expect((await faultsOf({ domain: 'example.com' }))[0]).toMatch(
      /^ {2}- PROJECTS_DOMAIN or APP_DOMAIN does not fit into environments\/local\/environment.yaml: hosts\.shop\[0\]: /,
    );
  });
});

describe('where there is nothing to write to', () => {
  test('an installation without local is told so', async () => {
    const tip = await push({ 'environments/dev/environment.yaml': yaml('dev.example.com') });
    expect(await settle({ storageClass: 'fast' })).toBe(undefined);
    expect(await settle({})).toBe(undefined);
    expect(await repository.tip()).toBe(tip);
    expect(log.lines().map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'settings of projects have no effect: there is no environment local'],
    ]);
  });

  test('environments that cannot be read are left as they are, and the start goes on', async () => {
    const tip = await push({ [local]: yaml('apps.localhost', 'storage: 5\n') });
    expect(await settle({ storageClass: 'fast' })).toBe(undefined);
    expect(await repository.tip()).toBe(tip);
    expect(log.lines()[0]).toMatchObject({ level: 'error', findings: [expect.stringContaining(local)] });
  });

  test('an empty repository has none', async () => {
    expect(await settle({})).toBe(undefined);
  });
});
