import { buildVault } from './vault/build.ts';

/** `build`: builds the Vault that tests start, and prints where it is. */
if (process.argv[2] !== 'build') {
  console.error('usage: node scripts/vault.ts build');
  process.exitCode = 2;
} else {
  console.log(await buildVault({ say: console.error }));
}
