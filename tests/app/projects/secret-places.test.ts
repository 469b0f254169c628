import { expect, test } from 'vitest';
import type { Caller } from '#contract/caller.ts';
import { checkPlace } from '#projects/secret-places.ts';
import { administrator } from '#support/http.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const check = (caller: Caller) =>
  checkPlace(db, caller, 'shop', { vault: { path: 'secret/data/of-the-company', key: 'password' } });

test('who may set secrets of the organization refers to all that Plinth reads in Vault; others do not', async () => {
  await check(administrator);
  const inTeam = { ...administrator, may: new Map(administrator.may).set('secret:write', ['shop']) };
  await expect(check(inTeam)).rejects.toMatchObject({ code: 'VAULT_PATH_REFUSED' });
});

test('a token bound to some environments, which sets no secret of the organization, does not', async () => {
  await expect(check({ ...administrator, environments: ['local'] })).rejects.toMatchObject({
    code: 'VAULT_PATH_REFUSED',
  });
});
