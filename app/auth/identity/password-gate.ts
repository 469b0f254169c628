import type { Log } from '#base/log.ts';
import type { Database } from '#database/pool.ts';
import type { Providers } from './providers.ts';
import { listProvenProviders } from './store.ts';

/** Who may sign in with a password. */
export type PasswordSignIn = 'everyone' | 'administrators' | 'nobody';

export interface PasswordGateOptions {
  /** AUTH_DISABLE_BASIC_AUTH. */
  readonly disabled: boolean;
  readonly database: Database;
  readonly providers: Pick<Providers, 'list'>;
}

/**
 * Passwords end for everybody only once a provider that is there and on has let an administrator in, who still is one;
 * until then, and again when that is no longer so, administrators keep theirs. So nobody locks the last one out.
 */
export function createPasswordGate({
  disabled,
  database,
  providers,
}: PasswordGateOptions): () => Promise<PasswordSignIn> {
  return async () => {
    if (!disabled) return 'everyone';
    const proven = new Set(await listProvenProviders(database));
    const works = (await providers.list()).some(({ id, config }) => config.enabled && proven.has(id));
    return works ? 'nobody' : 'administrators';
  };
}

/** Said at the start, as it is not what the setting's name promises. */
export async function tellPasswordGate(gate: () => Promise<PasswordSignIn>, log: Log): Promise<void> {
  if ((await gate()) !== 'administrators') return;
  log.warn(
    { setting: 'AUTH_DISABLE_BASIC_AUTH' },
    'administrators may still sign in with a password, until one of them has come in by an identity provider',
  );
}
