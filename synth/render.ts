import { App, Chart } from 'cdk8s';
import { type Finding, InvalidInput } from '#environments/finding.ts';
import { names, type ProjectKey, reservedBecause, specFile } from '#environments/layout.ts';
import { withoutIgnored } from '#environments/policies.ts';
import type { Environment } from '#environments/schema.ts';
import { guardFindings } from './guard.ts';
import { nameJobs } from './job-names.ts';
import { canonicalJson, digestOf, type Manifest, writeManifests } from './manifests.ts';
import { addJobs } from './parts/jobs.ts';
import { addNamespace } from './parts/namespace.ts';
import { addNetworkPolicies } from './parts/network.ts';
import { addObjects } from './parts/objects.ts';
import { addRoutes } from './parts/routes.ts';
import { addSecrets } from './parts/secrets.ts';
import { addClaims } from './parts/storage.ts';
import { addWorkloads } from './parts/workloads.ts';
import { applyPatches } from './patches.ts';
import type { Plan, SecretUse } from './plan.ts';
import { readSpec } from './read.ts';
import { resolve } from './resolve.ts';
import { findWarnings } from './warnings.ts';

export { digestOf, type Manifest, parseManifests } from './manifests.ts';
export type { SecretUse } from './plan.ts';
export { refuseVolumeChanges } from './volume-changes.ts';

/** Changes whenever the same spec gives other bytes. */
export const rendererVersion = '1';

export interface Rendered {
  /** manifests.yaml: many documents, sorted, below a comment that says whose they are. */
  readonly manifests: string;
  readonly manifestsDigest: string;
  /** Of the spec's bytes. */
  readonly specDigest: string;
  /** Of the environment with every default filled in. */
  readonly environmentDigest: string;
  readonly renderer: string;
  readonly namespace: string;
  /** Every host that the routes claim, sorted. */
  readonly hosts: readonly string[];
  /** Claims, and what the spec calls them. */
  readonly volumes: readonly { readonly claim: string; readonly name: string }[];
  readonly secrets: readonly SecretUse[];
  readonly objects: number;
  /** `team/project` of this environment that must be ready first. */
  readonly dependsOnProjects: readonly string[];
  /** What runs: the image of each container and of each service from the catalogue. */
  readonly images: readonly { readonly container: string; readonly image: string }[];
  /** What is allowed and probably not meant. */
  readonly warnings: readonly Finding[];
}

/**
 * The only door of synthesis: a spec and its environment become manifests. Pure: no clock, no network, no files; the
 * same input gives the same bytes on every machine.
 * @throws InvalidInput with all findings
 */
export function render(input: { environment: Environment; key: ProjectKey; spec: string | Uint8Array }): Rendered {
  const { environment, key, spec } = input;
  refuseNames(environment, key);
  const reading = readSpec(spec, specFile(key));
  const plan = resolve(reading.project, environment, key, reading.complain);
  reading.refuse();
  const objects = nameJobs(applyPatches(build(plan), reading.project.patches, reading.complain));
  reading.refuse();
  const refused = guardFindings(objects.map(withoutIgnored), environment, key);
  if (refused.length > 0) throw new InvalidInput(refused);
  const manifests = writeManifests(objects);
  return {
    manifests,
    manifestsDigest: digestOf(manifests),
    specDigest: digestOf(spec),
    environmentDigest: digestOf(canonicalJson(environment)),
    renderer: rendererVersion,
    namespace: plan.namespace,
    hosts: hostsOf(plan),
    volumes: plan.claims.map(({ claim, name }) => ({ claim, name })),
    secrets: plan.secrets,
    objects: objects.length,
    dependsOnProjects: plan.dependsOnProjects,
    images: plan.workloads.map(({ name, image }) => ({ container: name, image })),
    warnings: findWarnings(reading.project, plan).map(({ path, message }) => reading.finding(path, message)),
  };
}

/** One App for one project: a shared one resolves the dependencies of all its charts for each. */
function build(plan: Plan): Manifest[] {
  const app = new App({ outdir: '.', recordConstructMetadata: false });
  const chart = new Chart(app, 'project', { disableResourceNameHashes: true });
  const scope = { chart, plan };
  addNamespace(scope);
  addNetworkPolicies(scope);
  addSecrets(scope);
  addClaims(scope);
  addWorkloads(scope);
  addJobs(scope);
  addRoutes(scope);
  addObjects(scope);
  return chart.toJson();
}

const hostsOf = ({ workloads }: Plan) =>
  [...new Set(workloads.flatMap(({ route }) => (route === undefined ? [] : [route.host])))].sort();

/** Folders of the state repository name the project, so they are input like the spec. */
function refuseNames(environment: Environment, key: ProjectKey): void {
  const file = specFile(key);
  const findings = (['environment', 'team', 'project'] as const).flatMap((kind): Finding[] => {
    const name = key[kind];
    if (!names[kind].pattern.test(name))
      return [{ file, path: '', message: `${JSON.stringify(name)} is no name for the ${kind}: ${names[kind].text}` }];
    const why = reservedBecause(kind, name);
    return why === undefined ? [] : [{ file, path: '', message: `${kind} ${name} is reserved: ${why}` }];
  });
  if (environment.name !== key.environment)
    findings.push({ file, path: '', message: `it lies below ${key.environment}, not ${environment.name}` });
  if (findings.length > 0) throw new InvalidInput(findings);
}
