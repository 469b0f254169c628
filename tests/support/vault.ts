import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll } from 'vitest';
import { buildVault, missingForVault } from '#scripts/vault/build.ts';
import { describeUnless } from './missing.ts';

/** A real Vault of this file alone: unsealed, its storage in memory. */
export interface TestVault {
  readonly url: string;
  readonly rootToken: string;
  /** A request as root, or with another token: `await vault.api('POST', 'sys/mounts/kv', { type: 'kv' })`. */
  api(method: string, path: string, body?: unknown, token?: string): Promise<{ status: number; body: VaultBody }>;
  /** From now on it answers 503 to everything. */
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** A token with these rules: path → capabilities. */
  token(rules: Readonly<Record<string, readonly string[]>>, more?: object): Promise<string>;
}

// biome-ignore lint/suspicious/noExplicitAny: replies are looked at field by field in assertions
type VaultBody = any;

const mostMsToBuildAndStart = 20 * 60_000;

/**
 * A suite with a Vault of its own, which has KV v2 at `secret` and v1 at `kv`. Skipped with its reason where none can
 * be had; in CI on Linux, where it can be built, that is a failure. `vault()` works in hooks and tests.
 */
export function describeWithVault(name: string, tests: (vault: () => TestVault) => void): void {
  const reason = process.env.PLINTH_NO_VAULT ?? missingForVault();
  if (reason !== undefined && process.env.CI === 'true' && process.platform === 'linux')
    throw new Error(`CI must have a Vault, but: ${reason}`);
  describeUnless(reason, name, () => {
    let started: (TestVault & { stop(): Promise<void> }) | undefined;
    beforeAll(async () => {
      started = await startVault();
    }, mostMsToBuildAndStart);
    afterAll(() => started?.stop());
    tests(() => {
      if (started === undefined) throw new Error('the Vault is there in hooks and tests only');
      return started;
    });
  });
}

async function startVault(): Promise<TestVault & { stop(): Promise<void> }> {
  const program = await buildVault({ say: console.error });
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) throw new Error(`Vault did not start: ${complaints}`);
  const { url, rootToken, unsealKey } = JSON.parse(first.value);
  const api: TestVault['api'] = async (method, path, body, token = rootToken) => {
    const answer = await fetch(`${url}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': token },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  await api('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await api('POST', 'sys/mounts/kv', { type: 'kv' });
  await upgraded(api);
  let tokens = 0;
  return {
    url,
    rootToken,
    api,
    seal: async () => {
      await api('PUT', 'sys/seal');
    },
    unseal: async () => {
      await api('PUT', 'sys/unseal', { key: unsealKey });
      await upgraded(api);
    },
    token: async (rules, more = {}) => {
      tokens += 1;
      const policy = `policy-${tokens}`;
      const text = Object.entries(rules).map(
        ([path, rights]) => `path "${path}" { capabilities = ${JSON.stringify(rights)} }`,
      );
      await api('PUT', `sys/policies/acl/${policy}`, { policy: text.join('\n') });
      return (await api('POST', 'auth/token/create', { policies: [policy], ...more })).body.auth.client_token;
    },
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/** A new KV v2 answers 400 for a moment while it prepares its storage. */
async function upgraded(api: TestVault['api']): Promise<void> {
  for (;;) {
    const { status } = await api('GET', 'secret/data/none');
    if (status === 404) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
