import { readFileSync } from 'node:fs';
import { keyText, manifestsFile, type ProjectKey, specFile } from '#environments/layout.ts';
import { commit, type NewCommit } from '#git/commit.ts';
import { recordRenders } from '#publish/store.ts';
import { type Manifest, parseManifests, writeManifests } from '#synth/manifests.ts';
import { digestOf, render } from '#synth/render.ts';
import type { BenchStores } from './stores.ts';

/** A spec of the golden projects, by its folder below `tests/golden/`. */
export const goldenSpec = (name: string): string =>
  readFileSync(new URL(`../../golden/${name}/project.yaml`, import.meta.url), 'utf8');

/** The smallest project, with a way in from outside: it has an Ingress. */
export const routedSpec: string = goldenSpec('local/smallest').replace('port: 8080', 'port: 8080, route: true');

/** One project with the files that the bench commits for it. */
export interface BenchProject {
  readonly key: ProjectKey;
  readonly spec: string;
  readonly manifests: string;
  readonly objects: readonly Manifest[];
}

/** `count` keys, a hundred projects a team; `round` keeps the names of one round apart from all others. */
export const benchKeys = (environment: string, round: string, count: number): readonly ProjectKey[] =>
  Array.from({ length: count }, (_, index) => ({
    environment,
    team: `team-${Math.floor(index / 100)}`,
    project: `p-${round}-${index % 100}`,
  }));

/** A project as synth makes it. */
export function fullProject({ environment }: Pick<BenchStores, 'environment'>, key: ProjectKey, spec: string) {
  const named = { ...environment, name: key.environment };
  const { manifests } = render({ environment: named, key, spec });
  return { key, spec, manifests, objects: parseManifests(manifests) };
}

const plainKinds = ['ServiceAccount', 'Service', 'Ingress', 'Deployment'];

/** The four plain objects of issue 3, the Deployment with 0 replicas; made without the rest that synth makes. */
export function plainProject(stores: Pick<BenchStores, 'environment'>, key: ProjectKey, spec: string): BenchProject {
  const { objects } = fullProject(stores, key, spec);
  const plain = objects
    .filter(({ kind }) => plainKinds.includes(kind))
    .map((object) => (object.kind === 'Deployment' ? withoutReplicas(object) : object));
  if (plain.length !== plainKinds.length) throw new Error(`${plain.length} plain objects instead of 4`);
  return { key, spec, manifests: writeManifests(plain), objects: plain };
}

const withoutReplicas = (object: Manifest): Manifest => ({
  ...object,
  spec: { ...(object.spec as object), replicas: 0 },
});

/** The same project under another name; rendered once and renamed, thousands cost nothing. */
export function renamed(model: BenchProject, key: ProjectKey): BenchProject {
  const { manifests } = model;
  const text = manifests
    .replaceAll(model.key.project, key.project)
    .replaceAll(model.key.team, key.team)
    .replaceAll(`${model.key.environment}--`, `${key.environment}--`);
  return { key, spec: model.spec, manifests: text, objects: parseManifests(text) };
}

/** Writes projects to Git and says that publish made them, as one push of a hundred projects a commit. */
export async function commitProjects(stores: BenchStores, projects: readonly BenchProject[]): Promise<void> {
  const { database, repository, clock } = stores;
  await recordRenders(
    database,
    projects.map(({ key, spec, manifests }) => ({
      ...key,
      specDigest: digestOf(spec),
      manifestsDigest: digestOf(manifests),
      environmentDigest: '',
      renderer: 'bench',
    })),
  );
  const commits: NewCommit[] = [];
  for (let at = 0; at < projects.length; at += 100) {
    const some = projects.slice(at, at + 100);
    commits.push({
      edits: some.flatMap(({ key, spec, manifests }) => [
        { path: specFile(key), content: spec },
        { path: manifestsFile(key), content: manifests },
      ]),
      subject: `Projects from ${keyText(some[0]!.key)}`, // never empty
      trailers: [],
      author: { name: 'Bench', email: 'bench@localhost' },
      at: clock.now(),
    });
  }
  await commit(repository, { expected: await repository.tip(), commits });
}
