import { type Finding, InvalidInput } from '#environments/finding.ts';
import { environmentFile, environmentFolder, placeOf, root } from '#environments/layout.ts';
import { loadEnvironments } from '#environments/load.ts';
import type { Environment } from '#environments/schema.ts';
import type { PushedStep, PushView } from '#git/serve.ts';
import { verifyCommit } from '#git/signature.ts';
import { isFolder } from '#git/trees.ts';

/**
 * The commits of a push that would not be applied, because environment.yaml as it stands before them asks for
 * signatures that they lack: told in the pusher's terminal, and not only when reconcile holds them.
 */
export async function signatureFaults(view: PushView, ownKey: string | undefined): Promise<Finding[]> {
  const findings: Finding[] = [];
  const folders = (await view.children(root)).filter(isFolder);
  const asked = await Promise.all(folders.map(({ name }) => rulesBefore(view, name)));
  if (!asked.some((rules) => rules?.required === true)) return [];
  for (const step of await view.steps()) {
    const touched = new Set(step.changes.map(({ path }) => environmentOf(path)).filter((name) => name !== undefined));
    for (const environment of touched) {
      const why = await refusalOf(step, environment, ownKey);
      if (why === undefined) continue;
      const file = environmentFolder(environment);
      const about = `commit ${step.revision.slice(0, 12)} does not count here: ${why}`;
      findings.push({ file, path: '', message: `${about}; sign it with git commit -S and gpg.format=ssh` });
    }
    // The rules of later commits are those of a commit that does not count: nothing more can be said of them.
    if (findings.length > 0) return findings;
  }
  return findings;
}

function environmentOf(path: string): string | undefined {
  const [first, name] = path.split('/');
  const place = placeOf(path);
  return first === root && place.kind !== 'platform' && name !== 'platform' ? name : undefined;
}

async function refusalOf(
  step: PushedStep,
  environment: string,
  ownKey: string | undefined,
): Promise<string | undefined> {
  const rules = await rulesBefore(step, environment);
  if (rules?.required !== true) return undefined;
  const verdict = verifyCommit(step.content, [...(ownKey === undefined ? [] : [ownKey]), ...rules.keys]);
  return verdict.kind === 'refused' ? verdict.why : undefined;
}

async function rulesBefore(
  view: Pick<PushView, 'readBefore'>,
  environment: string,
): Promise<Environment['signatures'] | undefined> {
  const path = environmentFile(environment);
  const content = await view.readBefore(path);
  if (content === undefined) return undefined;
  try {
    return loadEnvironments([{ path, content }]).get(environment)?.signatures;
  } catch (error) {
    if (error instanceof InvalidInput) return undefined; // It never came this far: nothing is applied by it either.
    throw error;
  }
}
