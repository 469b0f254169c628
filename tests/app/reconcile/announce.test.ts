import { describe, expect, test } from 'vitest';
import type { ProjectKey } from '#environments/layout.ts';
import type { Notifier } from '#notify/notifier.ts';
import { degradedBecause, soon, useAnnouncer, web } from './announce-stand.ts';

const { db, notifying, startNotifier, start, write, hear, messages, arrived, events, tell, wait } = useAnnouncer();

describe('a project', () => {
  test('is told from its first commit to its trouble and out of it, beside its objects too', async () => {
    const announcer = start();
    await hear(announcer, web, { health: 'progressing' });
    await hear(announcer, web, {});
    await hear(announcer, web, degradedBecause('0 of 2 pods are ready'));
    wait(60_000);
    await hear(announcer, web, {});
    await arrived(
      'shop/web in production is applied at revision aaaaaaaa',
      'shop/web in production is healthy at revision aaaaaaaa',
      'shop/web in production is degraded: 0 of 2 pods are ready',
      'shop/web in production is well again at revision aaaaaaaa',
    );
    const degraded = messages().find(({ event }) => event === 'degraded');
    expect(degraded).toMatchObject({
      says: ['degraded'],
      environment: 'production',
      team: 'shop',
      project: 'web',
      revision: 'a'.repeat(40),
      phase: 'applied',
      health: 'degraded',
      details: ['Deployment/web is degraded: 0 of 2 pods are ready'],
      changes: 1,
    });
    expect(events()).toEqual(
      [
        ['Normal', 'Applied', 'shop/web in production is applied at revision aaaaaaaa'],
        ['Normal', 'Healthy', 'shop/web in production is healthy at revision aaaaaaaa'],
        [
          'Warning',
          'Degraded',
          'shop/web in production is degraded: 0 of 2 pods are ready; Deployment/web is degraded: 0 of 2 pods are ready',
        ],
        ['Normal', 'Recovered', 'shop/web in production is well again at revision aaaaaaaa'],
      ].map(([type, reason, message]) => ({ namespace: 'production--shop--web', type, reason, message })),
    );
  });

  test('that waits for a yes is told with what would go', async () => {
    await db.database.query(
      `insert into confirmations (environment, team, project, digest, objects) values ('production', 'shop', 'web', 'd', $1)`,
      [JSON.stringify(Array.from({ length: 12 }, (_, i) => `v1 ConfigMap x/${i}`))],
    );
    await hear(start(), web, { phase: 'needs-confirmation', health: 'unknown' });
    await arrived('12 deletions of shop/web in production wait for a yes');
    expect(messages()[0]?.details).toEqual([
      ...Array.from({ length: 9 }, (_, i) => `v1 ConfigMap x/${i}`),
      'and 3 more of them',
    ]);
    expect(events().map(({ reason }) => reason)).toEqual(['PruneRefused']);
  });

  test('that stands as before is not told, and nothing is written', async () => {
    const announcer = start();
    await hear(announcer, web, {});
    await arrived('shop/web in production is applied and healthy at revision aaaaaaaa');
    const read = () => db.database.query('select xmin::text, told from announced');
    const { rows } = await read();
    for (let i = 0; i < 3; i++) {
      announcer.heardAll();
      await announcer.idle();
    }
    expect((await read()).rows).toEqual(rows);
    await arrived('shop/web in production is applied and healthy at revision aaaaaaaa');
  });

  test('that comes and goes is told when the quiet time is over', async () => {
    const announcer = start();
    await hear(announcer, web, {});
    await hear(announcer, web, degradedBecause('gone'));
    for (let i = 0; i < 3; i++) {
      await hear(announcer, web, {});
      await hear(announcer, web, degradedBecause('gone'));
    }
    await hear(announcer, web, {});
    expect(events().map(({ reason }) => reason)).toEqual(['Healthy', 'Degraded']);
    wait(31_000);
    await announcer.idle();
    await arrived(
      'shop/web in production is applied and healthy at revision aaaaaaaa',
      'shop/web in production is degraded: gone',
      'shop/web in production is well again at revision aaaaaaaa (after 7 changes)',
    );
  });

  test('that others edit is told with their edits, those of a while together', async () => {
    tell(await notifying({ on: ['drift', 'fight'] }));
    const announcer = start();
    const edit = (kind: string, text: string) =>
      db.database.query(
        `insert into reports (environment, team, project, kind, object, message) values ('production', 'shop', 'web', $1, 'x', $2)`,
        [kind, text],
      );
    await edit('drift', 'kubectl changed .spec.replicas of Deployment/web');
    await edit('kept', 'nobody is told of this');
    await hear(announcer, web, {});
    await edit('drift', 'tool changed .data.a of ConfigMap/web');
    await edit('drift', 'tool changed .data.b of ConfigMap/web');
    await edit('fight', 'tool rewrites ConfigMap/web for ever');
    await hear(announcer, web, {});
    await hear(announcer, web, {});
    wait(301_000);
    await announcer.idle();
    await arrived(
      '1 edit of others to shop/web in production',
      'Somebody else keeps rewriting objects of shop/web in production',
      '2 edits of others to shop/web in production',
    );
    const came = messages().map(({ event, details }) => `${event}: ${details.join('; ')}`);
    expect(came.sort()).toEqual([
      'drift: kubectl changed .spec.replicas of Deployment/web',
      'drift: tool changed .data.a of ConfigMap/web; tool changed .data.b of ConfigMap/web',
      'fight: tool rewrites ConfigMap/web for ever',
    ]);
    expect(events().map(({ reason }) => reason)).toEqual(['Healthy', 'DriftFound', 'FightDetected', 'DriftFound']);
  });

  test('that is gone is forgotten: one of the same name begins anew', async () => {
    const announcer = start();
    await hear(announcer, web, {});
    await db.database.query('delete from project_status');
    announcer.heardAll();
    await announcer.idle();
    expect((await db.database.query('select 1 from announced')).rowCount).toBe(0);
    await hear(announcer, web, {});
    await expect.poll(() => messages().length, soon).toBe(2);
  });
});

describe('who is told', () => {
  test('those who asked for it, of the projects they named', async () => {
    const api = { ...web, project: 'api' };
    const tools = { ...web, team: 'tools' };
    tell([
      ...(await notifying({ on: ['healthy'], projects: ['shop/api'] })),
      ...(await notifying({ on: ['applied', 'failed'], projects: ['tools/*', 'shop/web'] })),
    ]);
    const announcer = start();
    for (const key of [web, api, tools]) await hear(announcer, key, {});
    await hear(announcer, tools, { phase: 'failed', problem: { code: 'OBJECT_REFUSED', detail: 'it is too large' } });
    await arrived(
      'shop/web in production is applied and healthy at revision aaaaaaaa',
      'shop/api in production is applied and healthy at revision aaaaaaaa',
      'tools/web in production is applied and healthy at revision aaaaaaaa',
      'tools/web in production is not applied: it is too large',
    );
  });

  test('those who were told before, while environment.yaml cannot be read', async () => {
    const told = await notifying({ on: ['healthy', 'degraded'] });
    let broken = false;
    const notificationsOf = async () => {
      if (broken) throw new Error('it has a tab in line 3');
      return told;
    };
    const announcer = start({ notificationsOf });
    await hear(announcer, web, {});
    broken = true;
    await hear(announcer, web, degradedBecause('gone'));
    await arrived(
      'shop/web in production is applied and healthy at revision aaaaaaaa',
      'shop/web in production is degraded: gone',
    );
  });
});

describe('nothing is lost or doubled', () => {
  test('what no notice told is found', async () => {
    await write(web, {});
    start();
    await arrived('shop/web in production is applied and healthy at revision aaaaaaaa');
  });

  test('what stood before there were tellings is not told', async () => {
    await write(web, {});
    await db.database.query(
      `insert into announced (environment, team, project, told) values ('production', 'shop', 'web', '{"silent": true}')`,
    );
    const announcer = start();
    await announcer.idle();
    await hear(announcer, web, degradedBecause('gone'));
    await arrived('shop/web in production is degraded: gone');
  });

  test('what could not be ordered is remembered as not told', async () => {
    const notifier = startNotifier();
    let fails = true;
    const order: Notifier['order'] = async (tx, orders) => {
      await notifier.order(tx, orders);
      if (!fails) return;
      fails = false;
      throw new Error('killed here');
    };
    await hear(start({ notifier: { ...notifier, order } }), web, {});
    await arrived('shop/web in production is applied and healthy at revision aaaaaaaa');
    expect(fails).toBe(false);
  });

  test('of several replicas that hear the same, one tells it', async () => {
    const announcers = [start(), start(), start()];
    const keys = Array.from({ length: 40 }, (_, i): ProjectKey => ({ ...web, project: `p${i}` }));
    for (const status of [{}, degradedBecause('gone')])
      await Promise.all(
        keys.map(async (key) => {
          await write(key, status);
          for (const announcer of announcers) announcer.heard(key);
        }),
      ).then(() => Promise.all(announcers.map((announcer) => announcer.idle())));
    expect(events().filter(({ reason }) => reason === 'Healthy')).toHaveLength(40);
    await expect.poll(() => events().filter(({ reason }) => reason === 'Degraded').length, soon).toBe(40);
    const { rows } = await db.database.query<{ n: number }>(
      `select count(distinct told->>'key') as n from announced where told->>'key' = 'degraded' having count(*) = 40`,
    );
    expect(rows).toEqual([{ n: 1 }]);
  });
});
