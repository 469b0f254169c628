import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { RawBody } from '#contract/route.ts';
import type { Handlers } from '#contract/routes.ts';
import { keyText, manifestsFile, type ProjectKey, specFile } from '#environments/layout.ts';
import { parseManifests } from '#environments/manifests.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { refuseCircle } from '#publish/circles.ts';
import { mostProjects, renderSpec } from '#publish/prepare.ts';
import { acceptChange, type Change, readHosts } from '#publish/store.ts';
import { type Rendered, refuseVolumeChanges } from '#synth/render.ts';
import { environmentNow, type ProjectDoors } from './doors.ts';
import { countOthers, expectProject } from './store.ts';
import { toChangeView } from './views.ts';

/** PUT a project: what cannot be rendered is refused now, everything else is accepted as a change. */
export const putProject =
  (doors: ProjectDoors): Handlers['putProject'] =>
  async ({ caller, params: key, query, body, request }) => {
    const spec = toYaml(body);
    const { tip, environment } = await environmentNow(doors, key.environment);
    const rendered = renderSpec(key, spec, environment);
    const before = await doors.repository.blobId(tip, specFile(key));
    const expected = expectedBlob(before, request.ifMatch);
    const manifests = await doors.repository.read(tip, manifestsFile(key));
    refuseVolumeChanges(key, manifests && new TextDecoder().decode(manifests), rendered);
    await checkSurroundings(doors, key, rendered);
    if (query.dryRun)
      return { status: 200, json: await preview(doors, key, tip, rendered), audit: { before, after: before } };

    const change = await doors.database.transaction(async (tx) => {
      await expectProject(tx, key, newId('project', doors.clock.now()), caller.name);
      return await acceptChange(tx, {
        id: newId('change', doors.clock.now()),
        kind: 'put',
        ...key,
        actor: caller.name,
        content: spec,
        expected,
        message: query.message ?? '',
      });
    });
    return { ...accepted(change), audit: { before, after: blobIdOf(spec) } };
  };

/** The reply to an accepted change, with the address where its end can be read. */
export const accepted = (change: Change) => ({
  status: 202,
  json: toChangeView(change),
  location: `/api/v1/changes/${change.id}`,
});

/** YAML stays as it was written; JSON becomes YAML, so that Git holds what people read. */
const toYaml = (body: RawBody): string =>
  body.kind === 'yaml' ? body.text : stringify(body.value, { aliasDuplicateObjects: false });

/**
 * The blob that the spec must be when the change is written; `*` means the one that is there now. A quick look before
 * the change is accepted: the writer looks again on the tip that it writes on.
 */
function expectedBlob(actual: string | undefined, ifMatch: string | undefined): string | undefined {
  if (ifMatch === undefined) return undefined;
  const fits = ifMatch === '*' ? actual !== undefined : (actual ?? '') === ifMatch;
  if (!fits)
    throw new Fault('PRECONDITION_FAILED', {
      expected: ifMatch === '' ? 'absent' : ifMatch,
      actual: actual ?? 'absent',
    });
  return actual ?? '';
}

async function checkSurroundings(doors: ProjectDoors, key: ProjectKey, rendered: Rendered): Promise<void> {
  const owners = await readHosts(doors.database, rendered.hosts);
  for (const [host, owner] of owners)
    if (keyText(owner) !== keyText(key)) throw new Fault('HOST_TAKEN', { host, owner: keyText(owner) });
  await refuseCircle(doors.database, key, rendered.dependsOnProjects);
  const count = await countOthers(doors.database, key);
  if (count >= mostProjects)
    throw new Fault('TEAM_FULL', { team: key.team, environment: key.environment, count, most: mostProjects });
  const wanted = rendered.secrets.filter((secret) => !secret.generated).map(({ name }) => name);
  const missing = await doors.secrets.missing(key, wanted);
  if (missing[0] !== undefined) throw new Fault('SECRET_NOT_ALLOWED', { secret: missing[0] });
}

/** What the change would do to the rendered objects. */
async function preview(doors: ProjectDoors, key: ProjectKey, tip: string, rendered: Rendered) {
  const content = await doors.repository.read(tip, manifestsFile(key));
  const before = content === undefined ? '' : Buffer.from(content).toString('utf8');
  return difference(before, rendered.manifests);
}

/** What happens to one object. */
interface Effect {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly action: 'create' | 'change' | 'delete';
}

/** Two versions of manifests.yaml, object by object and as one unified difference. */
export function difference(before: string, after: string) {
  const old = objectsOf(before);
  const made = objectsOf(after);
  const changed: Effect[] = [...made]
    .filter(([name, object]) => old.get(name)?.text !== object.text)
    .map(([name, { key }]) => ({ ...key, action: old.has(name) ? 'change' : 'create' }));
  const gone: Effect[] = [...old]
    .filter(([name]) => !made.has(name))
    .map(([, { key }]) => ({ ...key, action: 'delete' }));
  return {
    unchanged: before === after,
    objects: [...changed, ...gone],
    diff: before === after ? '' : createTwoFilesPatch('manifests.yaml', 'manifests.yaml', before, after, 'now', 'then'),
  };
}

function objectsOf(manifests: string) {
  return new Map(
    parseManifests(manifests).map((object) => {
      const { apiVersion, kind, metadata } = object;
      const key = { apiVersion, kind, namespace: metadata.namespace ?? '', name: metadata.name };
      return [`${apiVersion} ${kind} ${metadata.name}`, { key, text: JSON.stringify(object) }] as const;
    }),
  );
}
