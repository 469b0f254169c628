import type { Pool } from 'undici';
import { stageCount, stageOf } from '#reconcile/decide/stages.ts';
import { labelled } from '#runtime/kubernetes/labelled.ts';
import { fieldManager } from '#runtime/kubernetes/owned.ts';
import { ownKinds } from '#runtime/kubernetes/resources.ts';
import { keyOf } from '#runtime/runtime.ts';
import type { Manifest } from '#synth/manifests.ts';
import type { BenchProject } from './projects.ts';

interface Request {
  readonly path: string;
  readonly body: string;
}

/** The requests of one project, stage by stage: what the control plane sends for it, byte by byte but for names. */
export type Script = readonly (readonly Request[])[];

/** The request of one object, with what it demands of the present state: version 1 stands for "must not exist". */
export function requestOf(object: Manifest, installation: string, demands: object = { resourceVersion: '1' }): Request {
  const marked = labelled(object, installation);
  return {
    path: `${ownKinds.objectPath(keyOf(object))}?fieldManager=${fieldManager}&fieldValidation=Strict`,
    body: JSON.stringify({ ...marked, metadata: { ...marked.metadata, ...demands } }),
  };
}

/** Writes down beforehand what is to be sent, so that the loop itself does nothing else. */
export function scriptOf({ objects }: BenchProject, installation: string): Script {
  return Array.from({ length: stageCount }, (_, stage) =>
    objects.filter((object) => stageOf(object) === stage).map((object) => requestOf(object, installation)),
  ).filter((stage) => stage.length > 0);
}

const headers = {
  'content-type': 'application/apply-patch+yaml',
  accept: 'application/json',
  'user-agent': 'bare-loop',
};

/** Sends every project's stages in their order, as many requests at once as the pool has connections. */
export async function sendAll(pool: Pool, scripts: readonly Script[]): Promise<number> {
  let sent = 0;
  const send = async ({ path, body }: Request) => {
    const { statusCode, body: answer } = await pool.request({ method: 'PATCH', path, headers, body });
    const text = await answer.text();
    if (statusCode !== 201) throw new Error(`the bare loop got ${statusCode} for ${path}: ${text.slice(0, 500)}`);
    sent += 1;
  };
  await Promise.all(
    scripts.map(async (script) => {
      for (const stage of script) await Promise.all(stage.map(send));
    }),
  );
  return sent;
}
