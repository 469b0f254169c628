import { parseAllDocuments } from 'yaml';
import { readBlockYaml } from './read-block-yaml.ts';

/** A Kubernetes object as it stands in manifests.yaml. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/**
 * Reads manifests.yaml. For bytes whose digest publish made: nothing here bounds what a stranger may send, and the
 * shape of the objects is trusted. What is not in the form that synthesis writes is read as any YAML.
 */
export function parseManifests(text: string): Manifest[] {
  const [header = '', ...documents] = text.split(/^---\n/m);
  if (!/^(#.*\n)*$/.test(header)) return parseAny(text);
  const objects: unknown[] = [];
  for (const document of documents) {
    const read = readBlockYaml(document);
    if (read === undefined) return parseAny(text);
    objects.push(read.value);
  }
  // Our own bytes, by the digest.
  return objects as Manifest[];
}

function parseAny(text: string): Manifest[] {
  const documents = parseAllDocuments(text, { schema: 'core', version: '1.2', uniqueKeys: false, logLevel: 'error' });
  return [...documents].map((document) => document.toJS() as Manifest | null).filter((object) => object !== null);
}
