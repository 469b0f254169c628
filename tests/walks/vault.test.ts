import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeWithCluster } from '#support/cluster.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { describeWithVault } from '#support/vault.ts';
import { eventually, projectPath, put, run } from '#support/walk.ts';

const spec = (team: string) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  services: { db: 'postgres' },
  containers: {
    web: { image: 'nginx:1', port: 8080, secrets: ['api-key'] },
    other: { image: 'nginx:1', port: 8080, env: { TEAM: team } },
  },
});

describeWithCluster('a control plane with Vault', (cluster) => {
  describeWithVault('of its own', (vault) => {
    describe.each([
      ['Vault', 'readers', 'secret/data/archestra/project/local/readers/web/api-key'],
      ['READONLY_VAULT', 'writers', 'secret/data/teams/writers/web'],
    ] as const)('SECRETS_MANAGER=%s', (mode, team, path) => {
      const directory = useTemporaryDirectory('plinth-vault');
      const api = projectPath(`${team}/web`);
      const namespaceOf = `/namespaces/local--${team}--web`;
      let plinth: ControlPlane;
      const start = async () => {
        const environment = {
          KUBECONFIG: cluster().kubeconfig,
          SECRETS_MANAGER: mode,
          HASHICORP_VAULT_ADDR: vault().url,
          HASHICORP_VAULT_TOKEN: vault().rootToken,
        };
        plinth = await startControlPlane({ dataDirectory: join(directory, 'data'), environment });
      };
      beforeAll(start);
      afterAll(async () => {
        await plinth?.stop();
      });
      const valueIn = async () => {
        const { body } = await cluster().api('GET', `/api/v1${namespaceOf}/secrets/api-key`);
        const data: Record<string, string> = body.data ?? {};
        return Buffer.from(Object.values(data)[0] ?? '', 'base64').toString('utf8');
      };
      const generation = async (name: string) =>
        (await cluster().api('GET', `/apis/apps/v1${namespaceOf}/deployments/${name}`)).body.metadata.generation;

      test('a project gets its values from there; what Plinth generates works, too', async () => {
        const body =
          mode === 'Vault' ? { value: 'first' } : { vault: { path: 'secret/data/teams/writers/web', key: 'value' } };
        if (mode === 'READONLY_VAULT') {
          const refused = await plinth.request('PUT', `${api}/secrets/api-key`, { value: 'inline' });
          expect([refused.status, refused.body.code]).toEqual([422, 'SECRET_INLINE_REFUSED']);
          await vault().api('POST', path, { data: { value: 'first' } });
        }
        const set = await plinth.request('PUT', `${api}/secrets/api-key`, body);
        expect(set.body, set.text).toMatchObject({ name: 'api-key', vault: { path, key: 'value' } });
        expect((await vault().api('GET', path)).body.data.data.value).toBe('first');
        await run(plinth, `${team}/web`, spec(team));
        expect(await valueIn()).toBe('first');
        const { items } = (await plinth.request('GET', `${api}/secrets`)).body;
        const generated = items.find((item: { generated: boolean }) => item.generated);
        expect(generated.vault === null).toBe(mode === 'READONLY_VAULT');
      });

      test('a value that is changed in Vault arrives, and rolls what uses it and nothing else', async () => {
        const before = { web: await generation('web'), other: await generation('other') };
        await vault().api('POST', path, { data: { value: 'second' } });
        // Compared every 30 s at the latest; a restart compares at once.
        await plinth.stop();
        await start();
        await eventually(valueIn, (value) => value === 'second');
        await eventually(
          () => generation('web'),
          (now) => now === before.web + 1,
        );
        await plinth.until(api, ({ phase, health }) => phase === 'applied' && health === 'healthy');
        expect(await generation('other')).toBe(before.other);
      });

      test('while Vault is sealed the project runs on; a change waits and says why', async () => {
        await vault().seal();
        await plinth.request('POST', `${api}/reconcile`);
        expect((await plinth.request('GET', api)).body.health).toBe('healthy');
        const refused = await plinth.request(
          'PUT',
          `${api}/secrets/api-key`,
          mode === 'Vault' ? { value: 'x' } : { vault: { path, key: 'value' } },
        );
        expect([refused.status, refused.body.code]).toEqual([503, 'SECRETS_UNAVAILABLE']);
        expect(refused.body.detail).toContain('sealed');
        await vault().unseal();
        await put(plinth, `${team}/web`, { ...spec(team), containers: { web: spec(team).containers.web } });
        await plinth.until(api, ({ phase, health }) => phase === 'applied' && health === 'healthy');
        expect(await valueIn()).toBe('second');
      });
    });
  });
});
