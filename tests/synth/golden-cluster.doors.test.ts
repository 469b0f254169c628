import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Api } from '#scripts/cluster/client.ts';
import { describeWithCluster } from '#support/cluster.ts';
import { dig } from '#synth/dig.ts';
import { type Manifest, parseManifests } from '#synth/render.ts';
import { type Golden, goldens } from './golden.ts';
import { httpRouteShape } from './http-route-shape.ts';

const applyType = 'application/apply-patch+yaml';

describeWithCluster('golden projects against a real API server', (cluster) => {
  const all = goldens();

  beforeAll(async () => {
    for (const { rendered } of all) {
      const objects = parseManifests(rendered.manifests);
      for (const object of objects.filter(({ kind }) => kind === 'Namespace' || kind === 'ServiceAccount')) {
        const answer = await apply(cluster().api, object, '');
        expect([answer.status, answer.body.message]).toEqual([201, undefined]);
      }
    }
  });

  afterAll(async () => {
    for (const { rendered } of all) await cluster().api('DELETE', `/api/v1/namespaces/${rendered.namespace}`);
  });

  for (const golden of all) {
    test(`${golden.name}: every object passes a server-side apply dry run with strict fields`, async () => {
      const refused = await Promise.all(
        parseManifests(golden.rendered.manifests).map((object) => refusal(cluster().api, object)),
      );
      expect(refused.filter((each) => each !== undefined)).toEqual([]);
    });

    test(`${golden.name}: Pod Security of its namespace takes every pod`, async () => {
      const pods = podsOf(golden);
      const refused = await Promise.all(
        pods.map(async (pod) => {
          const path = `/api/v1/namespaces/${golden.rendered.namespace}/pods?dryRun=All`;
          const { status, body } = await cluster().api('POST', path, pod);
          return status === 201 ? undefined : `${pod.metadata.name}: ${body.message}`;
        }),
      );
      expect(pods.length).toBeGreaterThan(0);
      expect(refused.filter((each) => each !== undefined)).toEqual([]);
    });
  }

  test('the checks can fail: a misspelt field and a pod that runs as root are refused', async () => {
    const [first] = all.filter(({ name }) => name === 'local/smallest');
    const objects = parseManifests(first!.rendered.manifests);
    const deployment = structuredClone(objects.find(({ kind }) => kind === 'Deployment')!) as Manifest & {
      spec: object;
    };
    Object.assign(deployment.spec, { replica: 1 });
    expect(await refusal(cluster().api, deployment)).toContain('.spec.replica: field not declared in schema');
    const [pod] = podsOf(first!);
    Object.assign(pod!.spec as object, { securityContext: { runAsUser: 0 } });
    const answer = await cluster().api('POST', `/api/v1/namespaces/${first!.rendered.namespace}/pods?dryRun=All`, pod);
    expect(answer.body.message).toContain('violates PodSecurity "restricted:latest"');
  });
});

/** Why the API server would not take it, or undefined. */
async function refusal(api: Api, object: Manifest): Promise<string | undefined> {
  // There is no Gateway API in the test cluster, which holds built-in kinds only: judged by its published shape.
  if (object.kind === 'HTTPRoute') return httpRouteShape.safeParse(object).error?.message;
  const { status, body } = await apply(api, asApplied(object), '&dryRun=All');
  return status === 200 || status === 201 ? undefined : `${object.kind} ${object.metadata.name}: ${body.message}`;
}

function apply(api: Api, object: Manifest, more: string) {
  const path = `${collectionOf(object)}/${object.metadata.name}`;
  return api('PATCH', `${path}?fieldManager=golden&force=true&fieldValidation=Strict${more}`, object, applyType);
}

/** A pull secret is only taken with its data, which reconcile puts in. */
function asApplied(object: Manifest): Manifest {
  if (object.type !== 'kubernetes.io/dockerconfigjson') return object;
  return { ...object, data: { '.dockerconfigjson': Buffer.from('{"auths":{}}').toString('base64') } };
}

const plurals: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networkpolicies',
  Ingress: 'ingresses',
};

function collectionOf({ apiVersion, kind, metadata }: Manifest): string {
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = plurals[kind] ?? `${kind.toLowerCase()}s`;
  return metadata.namespace === undefined ? `${base}/${plural}` : `${base}/namespaces/${metadata.namespace}/${plural}`;
}

/** A Pod of each template, as a controller would make it. */
function podsOf({ rendered }: Golden): Manifest[] {
  return parseManifests(rendered.manifests).flatMap((object) => {
    const path = object.kind === 'CronJob' ? 'spec.jobTemplate.spec.template' : 'spec.template';
    const template = dig(object, path);
    if (template === undefined) return [];
    const metadata = { name: `try-${object.metadata.name}`, namespace: rendered.namespace };
    return [{ apiVersion: 'v1', kind: 'Pod', metadata, spec: structuredClone(dig(template, 'spec')) }];
  });
}
