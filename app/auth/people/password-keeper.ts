import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfPresent } from '#base/once-file.ts';
import type { Secret } from '#base/secret.ts';

/** Where the administrator's generated password waits for the person who reads it, until its first change. */
export interface PasswordKeeper {
  /** What is logged and shown: never the password, only where it is. */
  readonly place: string;
  write(password: Secret): Promise<void>;
  isThere(): Promise<boolean>;
  remove(): Promise<void>;
}

/** Keeps it in `admin-password` of the data directory, for its owner alone. */
export function keepInFile(dataDirectory: string): PasswordKeeper {
  const place = join(dataDirectory, 'admin-password');
  return {
    place,
    write: async (password) => {
      // A file that is there may have other rights; a new one has ours from its first moment.
      await rm(place, { force: true });
      await writeFile(place, `${password.reveal()}\n`, { mode: 0o600, flag: 'wx' });
    },
    isThere: async () => (await readIfPresent(place)) !== undefined,
    remove: () => rm(place, { force: true }),
  };
}
