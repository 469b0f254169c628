import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readOrMake } from './once-file.ts';
import { Secret } from './secret.ts';

export interface GivenSecret {
  readonly secret: Secret;
  /** The file that holds a generated one, for the operator to read; undefined when the setting gave it. */
  readonly file: string | undefined;
}

/** A setting's secret, else 32 random bytes as text in file `name` of the data directory, made at the first start (0600). */
export async function settingOrGenerated(
  options: { readonly dataDirectory: string; readonly setting: Secret | undefined },
  name: string,
  encoding: 'hex' | 'base64url',
): Promise<GivenSecret> {
  if (options.setting !== undefined) return { secret: options.setting, file: undefined };
  const file = join(options.dataDirectory, name);
  const made = await readOrMake(file, () => Buffer.from(randomBytes(32).toString(encoding)));
  return { secret: new Secret(made.toString('utf8')), file };
}
