import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { systemClock } from '#base/clock.ts';
import { openVault, type VaultOptions } from '#secrets/vault/vault.ts';
import { describeWithCluster, type SharedCluster } from '#support/cluster.ts';
import { silent } from '#support/git.ts';
import { startProxy } from '#support/proxy.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { describeWithVault } from '#support/vault.ts';

const namespace = 'vault-login';
const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;

// Vault asks the cluster's own API server (TokenReview) whose token it was shown.
describeWithCluster('signing in to Vault', (cluster) => {
  describeWithVault('by service account', (vault) => {
    const folder = useTemporaryDirectory();
    const tokenPath = join(folder, 'token');

    const options = (address: string, role: string): VaultOptions => ({
      address,
      auth: { method: 'kubernetes', role, tokenPath, mountPoint: 'kubernetes' },
      kvVersion: 2,
      secretPath: 'secret/data/plinth',
      readOnly: true,
      clock: systemClock,
      log: silent,
    });

    test('works with the right account only; the token is renewed, and after its longest life made anew', async () => {
      await prepare(cluster());
      await configure(cluster());
      await vault().api('POST', 'secret/data/mine', { data: { value: 'canary' } });
      writeFileSync(tokenPath, `${await tokenFor(cluster(), 'plinth')}\n`);
      const proxy = await startProxy(vault().url);
      const door = await openVault(options(proxy.url, 'plinth'));
      try {
        expect((await door.read('secret/data/mine')).fields?.get('value')?.reveal()).toBe('canary');
        const count = (part: string) => proxy.passed.filter((line) => line.includes(part)).length;
        // Lives 2 s and 4 s at the most.
        await expect.poll(() => count('login'), { interval: 20, timeout: 15_000 }).toBeGreaterThanOrEqual(2);
        expect(count('renew-self')).toBeGreaterThanOrEqual(1);
      } finally {
        await door.stop();
        await proxy.close();
      }
    });

    test('that was revoked is noticed by the next request, which does not fail; a refusal by policy is none', async () => {
      writeFileSync(tokenPath, await tokenFor(cluster(), 'plinth'));
      const proxy = await startProxy(vault().url);
      const door = await openVault(options(proxy.url, 'long'));
      const logins = () => proxy.passed.filter((line) => line.includes('login')).length;
      try {
        await vault().api('PUT', 'sys/leases/revoke-prefix/auth/kubernetes', { sync: true });
        const found = await Promise.all(Array.from({ length: 10 }, () => door.read('secret/data/mine')));
        expect(found.map(({ fields }) => fields?.get('value')?.reveal())).toEqual(Array(10).fill('canary'));
        expect(logins()).toBe(2);
        await expect(door.read('kv/forbidden')).rejects.toThrow('permission denied');
        expect(logins()).toBe(2);
      } finally {
        await door.stop();
        await proxy.close();
      }
    });

    test('is refused with another account, and without the role', async () => {
      writeFileSync(tokenPath, await tokenFor(cluster(), 'other'));
      await expect(openVault(options(vault().url, 'plinth'))).rejects.toMatchObject({
        code: 'VAULT_UNUSABLE',
        data: { why: expect.stringMatching(/signing in to auth\/kubernetes as role plinth was refused: status 403/) },
      });
      await expect(openVault(options(vault().url, 'none'))).rejects.toMatchObject({
        data: { why: expect.stringContaining('invalid role name') },
      });
    });

    async function configure({ url, kubeconfig }: SharedCluster) {
      const { clusters } = parse(readFileSync(kubeconfig, 'utf8'));
      const ca = Buffer.from(clusters[0].cluster['certificate-authority-data'], 'base64').toString('utf8');
      const { api } = vault();
      await api('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
      await api('POST', 'auth/kubernetes/config', {
        kubernetes_host: url,
        kubernetes_ca_cert: ca,
        disable_local_ca_jwt: true,
      });
      const policy = 'path "secret/data/*" { capabilities = ["read"] }';
      await api('PUT', 'sys/policies/acl/reads', { policy });
      for (const [role, ttl, most] of [
        ['plinth', '2s', '4s'],
        ['long', '1h', '2h'],
      ])
        await api('POST', `auth/kubernetes/role/${role}`, {
          bound_service_account_names: 'plinth',
          bound_service_account_namespaces: namespace,
          token_policies: ['reads'],
          token_ttl: ttl,
          token_max_ttl: most,
        });
    }
  });
});

/** Two accounts that may ask the API server about tokens, as Vault's guide for Kubernetes wants it. */
async function prepare({ api }: SharedCluster): Promise<void> {
  await api('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  for (const name of ['plinth', 'other'])
    await api('POST', accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
  await api('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' },
    subjects: ['plinth', 'other'].map((name) => ({ kind: 'ServiceAccount', name, namespace })),
  });
}

async function tokenFor({ api }: SharedCluster, account: string): Promise<string> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  return (await api('POST', `${accounts}/${account}/token`, body)).body.status.token;
}
