import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, buildOnce, directoryOf } from '../golang/build-once.ts';
import { buildFlags, go, missingGo } from '../golang/go.ts';

const folder = join(import.meta.dirname, 'server');
const files = [
  ...['go.mod', 'go.sum', 'main.go'],
  ...['discover/go.mod', 'discover/discover.go', 'discover/provider/k8s/k8s.go'],
  ...['okta/go.mod', 'okta/okta/okta.go'],
];
const buildDirectory = (cache?: string) => directoryOf('vault', { folder, files }, cache);

/** Why Vault cannot be had on this machine, with what to do about it; undefined when it can. Takes no longer than 0.1 s. */
export function missingForVault(cache?: string): string | undefined {
  return existsSync(buildDirectory(cache)) ? undefined : missingGo(folder);
}

/**
 * Builds a real HashiCorp Vault for tests into the cache when it is not there, which takes 2 to 5 minutes, and returns
 * the path of the program. Its licence lets us test against it, not ship it: nothing of it is in the distribution.
 */
export async function buildVault({ cache, say = () => {} }: BuildOptions = {}): Promise<string> {
  const directory = buildDirectory(cache);
  if (existsSync(directory)) return join(directory, 'vault');
  const missing = missingForVault(cache);
  if (missing !== undefined) throw new Error(missing);
  await buildOnce(directory, async (unfinished) => {
    const begin = performance.now();
    say('building Vault (for tests) from Go modules; this takes 2 to 5 minutes, once');
    let compiled = 0;
    const elapsed = () => `${Math.round((performance.now() - begin) / 1000)} s`;
    const ticker = setInterval(() => say(`${compiled} of about 1200 packages compiled, ${elapsed()}`), 15_000);
    const flags = ['-v', ...buildFlags(), '-ldflags', '-s -w', '-o', join(unfinished, 'vault')];
    // Lines about downloads have a space, names of packages have none.
    const complaint = (line: string) => {
      if (!line.includes(' ')) compiled += 1;
    };
    await go(folder, ['build', ...flags, '.'], { complaint }).finally(() => clearInterval(ticker));
    say(`built in ${elapsed()}`);
  });
  return join(directory, 'vault');
}
