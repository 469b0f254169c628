import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { keyText, type ProjectKey } from '#environments/layout.ts';
import { type Mask, maskFor } from '#secrets/mask.ts';
import type { Secrets } from '#secrets/secrets.ts';

/** Takes what a project may know out of a reason; undefined: nobody can say what that is, and the reason must stay. */
export type MaskReason = (key: ProjectKey, reason: string) => Promise<string | undefined>;

/** For one look: a project's secrets are read once, however many statuses tell of it. */
export function createReasonMask(doors: {
  readonly secrets: Pick<Secrets, 'list' | 'resolve'>;
  readonly log: Log;
}): MaskReason {
  const masks = new Map<string, Promise<Mask | undefined>>();
  return async (key, reason) => {
    const mask = masks.get(keyText(key)) ?? maskOf(doors, key);
    masks.set(keyText(key), mask);
    return (await mask)?.(reason);
  };
}

async function maskOf(
  { secrets, log }: Parameters<typeof createReasonMask>[0],
  { environment, team, project }: ProjectKey,
): Promise<Mask | undefined> {
  const key = { environment, team, project };
  try {
    return await maskFor(secrets, key);
  } catch (error) {
    if (!Fault.is(error) || error.code === 'DATABASE_UNAVAILABLE') throw error;
    log.warn({ ...key, err: error }, 'a reason is not told to the Git host: the secrets in it cannot be read');
    return undefined;
  }
}
