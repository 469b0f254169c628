import { expect, test } from 'vitest';
import { systemClock as clock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { openSecrets } from '#secrets/open.ts';
import { openVault } from '#secrets/vault/vault.ts';
import { silent as log } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { describeWithVault } from '#support/vault.ts';

const shop = { environment: 'dev', team: 'shop', project: 'web' };
const blog = { ...shop, team: 'blog' };
const wanted = [{ name: 'made', length: 24 }];

describeWithVault('secrets in Vault of a team that goes', (server) => {
  const db = useDatabase();
  const dataDirectory = useTemporaryDirectory();

  test('what was made for its projects is no later project’s', async () => {
    const { url, rootToken } = server();
    const auth = { method: 'token', token: new Secret(rootToken) } as const;
    const place = { kvVersion: 2, secretPath: 'secret/data/teams-that-go', readOnly: false } as const;
    const vault = await openVault({ address: url, auth, ...place, clock, log });
    const { database } = db;
    const opened = await openSecrets({ database, log, clock, encryption: { dataDirectory }, vault });
    try {
      const { secrets } = opened;
      const made = async () => (await secrets.resolve(shop, ['made'])).get('made')?.value.reveal();
      for (const project of [shop, blog]) await secrets.ensureGenerated(project, wanted, 'plinth');
      const first = await made();
      expect(first).toMatch(/^[A-Za-z0-9]{24}$/);
      expect(await database.transaction((tx) => secrets.endTeam(tx, 'shop'))).toEqual([]);
      expect(await made()).toBeUndefined();
      expect(await secrets.list(blog)).toHaveLength(1);
      expect(await secrets.ensureGenerated(shop, wanted, 'plinth')).toEqual(['made']);
      expect(await made()).toMatch(/^[A-Za-z0-9]{24}$/);
      expect(await made()).not.toBe(first);
    } finally {
      await opened.stop();
      await vault.stop();
    }
  });
});
