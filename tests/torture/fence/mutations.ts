import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import { type Contents, manifestsOf } from '../faults/objects.ts';
import type { Random } from '../stand/random.ts';

/** What a broken renderer, or somebody who wants harm, may leave as manifests.yaml. */
export interface Mutation {
  readonly name: string;
  readonly manifests: string;
}

const header = '# Written by Plinth from project.yaml beside it. Change that; what is written here is overwritten.\n';
const documentsOf = (manifests: string) => manifests.split(/^---\n/m).slice(1);
const joined = (documents: readonly string[]) => header + documents.map((document) => `---\n${document}`).join('');

type Mutate = (documents: readonly string[], random: Random, key: ProjectKey) => string;

const named: Readonly<Record<string, Mutate>> = {
  'nothing at all': () => '',
  'only its comment': () => header,
  'an empty document': () => `${header}---\n`,
  'only the namespace': (documents) => joined(documents.filter((one) => one.includes('kind: Namespace\n'))),
  'all but the namespace': (documents) => joined(documents.filter((one) => !one.includes('kind: Namespace\n'))),
  'one object': (documents, random) => joined([random.pick(documents)]),
  half: (documents, random) => joined(random.some(documents, documents.length >> 1)),
  'a third': (documents, random) => joined(random.some(documents, Math.floor(documents.length / 3))),
  'all but eleven': (documents, random) => joined(random.some(documents, documents.length - 11)),
  'cut somewhere': (documents, random) => {
    const text = joined(documents);
    return text.slice(0, Math.floor(text.length * random.between(0.05, 0.6)));
  },
  'cut between two objects': (documents, random) => joined(documents.slice(0, 1 + random.below(documents.length >> 1))),
  'another project': (documents, _, key) => joined(documents).replaceAll(namespaceOf(key), namespaceOf(other(key))),
  'another environment': (documents, _, key) =>
    joined(documents).replaceAll(namespaceOf(key), `other${namespaceOf(key)}`),
  'another namespace for some': (documents, random, key) => {
    const some = new Set(random.some(documents, 3));
    return joined(documents.map((one) => (some.has(one) ? one.replaceAll(namespaceOf(key), 'kube-system') : one)));
  },
  'no namespace': (documents) => joined(documents.map((one) => one.replace(/^ {2}namespace: .*\n/m, ''))),
  'a kind that is none': (documents) => joined(documents).replaceAll('kind: ConfigMap\n', 'kind: ConfigMaps\n'),
  'another kind': (documents) => joined(documents).replaceAll('kind: ConfigMap\n', 'kind: Secret\n'),
  'a kind for the whole cluster': (documents) =>
    joined(documents).replaceAll('kind: ConfigMap\n', 'kind: ClusterRole\n'),
  'another version': (documents) => joined(documents).replaceAll('apiVersion: v1\n', 'apiVersion: v2\n'),
  'every name with more to it': (documents) =>
    joined(documents.map((one) => one.replace(/^( {2}name: c-\d+)$/m, '$1-new'))),
  'every name in capitals': (documents) => joined(documents.map((one) => one.replace(/^( {2}name: )c-/m, '$1C-'))),
  'names that climb': (documents) => joined(documents.map((one) => one.replace(/^( {2}name: )c-/m, '$1../c-'))),
  'everything twice': (documents) => joined([...documents, ...documents]),
  'in another order': (documents, random) => joined(random.some(documents, documents.length)),
  'the spec in its place': () =>
    'apiVersion: plinth.dev/v1\nkind: Project\ncontainers:\n  web: { image: "nginx:1", port: 8080 }\n',
  'a list': () => `${header}---\n- a\n- b\n`,
  'numbers for objects': () => `${header}---\n1\n---\n2\n`,
};

const other = (key: ProjectKey): ProjectKey => ({ ...key, project: 'two' });

/** The seed's mutation of what a project should be; all kinds of them in turn. */
export function mutationOf(random: Random, index: number, key: ProjectKey, contents: Contents): Mutation {
  const all = Object.entries(named);
  const [name, mutate] = all[index % all.length] as (typeof all)[number]; // within
  return { name, manifests: mutate(documentsOf(manifestsOf(key, contents)), random, key) };
}
