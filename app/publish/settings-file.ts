import { type Document, isMap, isScalar, parseDocument, type Scalar } from 'yaml';

/** Values of settings that shape manifests; what is absent or '' was not set. */
export interface ManifestSettings {
  readonly runtime?: 'kubernetes' | 'none' | undefined;
  /** Where projects are served: PROJECTS_DOMAIN, or what follows from APP_DOMAIN. */
  readonly domain?: string | undefined;
  readonly storageClass?: string | undefined;
  readonly volumeSize?: string | undefined;
  readonly snapshotClass?: string | undefined;
  readonly ingressClass?: string | undefined;
  readonly tlsSecret?: string | undefined;
  readonly pullSecret?: string | undefined;
  readonly image?: string | undefined;
  readonly affinity?: boolean | undefined;
  readonly policies?: boolean | undefined;
}

interface Field {
  /** Where environment.yaml has it. */
  readonly path: readonly string[];
  /** What a person calls it. */
  readonly setting: string;
  /** What stands there when no setting does; absent: nothing. */
  readonly standard?: string;
}

/** Every setting that has its place in environment.yaml. */
const fields: { readonly [Name in keyof Required<ManifestSettings>]: Field } = {
  runtime: { path: ['runtime'], setting: 'DEPLOYMENT_MODE', standard: 'auto' },
  domain: { path: ['domain'], setting: 'PROJECTS_DOMAIN or APP_DOMAIN', standard: 'apps.localhost' },
  storageClass: { path: ['storage', 'class'], setting: 'K8S_STORAGE_CLASS' },
  volumeSize: { path: ['storage', 'size'], setting: 'K8S_PVC_SIZE' },
  snapshotClass: { path: ['storage', 'snapshotClass'], setting: 'K8S_SNAPSHOT_CLASS' },
  affinity: { path: ['storage', 'affinity'], setting: 'K8S_ENABLE_POD_AFFINITY' },
  ingressClass: { path: ['ingress', 'class'], setting: 'K8S_INGRESS_CLASS' },
  tlsSecret: { path: ['ingress', 'tlsSecret'], setting: 'K8S_WILDCARD_TLS_SECRET' },
  policies: { path: ['network', 'policies'], setting: 'K8S_ENABLE_NETWORK_POLICIES' },
  image: { path: ['image'], setting: 'K8S_DEVSERVER_IMAGE' },
  pullSecret: { path: ['pullSecret'], setting: 'K8S_IMAGE_PULL_SECRET' },
};

type Value = string | boolean;

/** What a setting does to one place of the file. */
export interface FileChange {
  readonly setting: string;
  /** Dotted keys. */
  readonly path: string;
  /** undefined: nothing stands, or stood, there. */
  readonly before: Value | undefined;
  readonly after: Value | undefined;
  /** True when `before` was written by a person, not by a setting. */
  readonly byHand: boolean;
}

/**
 * Writes settings into the text of an environment.yaml. A value that came from a setting says so behind it
 * (`class: fast # set by K8S_STORAGE_CLASS`), so that it goes when the setting does; what a person wrote and no setting
 * names stays, as do comments and the order of the file.
 *
 * @throws Error when a value cannot be placed, such as below an alias
 */
export function writeSettings(
  text: string,
  values: ManifestSettings,
): { readonly text: string; readonly changes: readonly FileChange[] } {
  const document = parseDocument(text, { version: '1.2', schema: 'core' });
  const changes = Object.entries(fields).flatMap(([name, field]) => {
    const value = values[name as keyof ManifestSettings]; // a key of the table is one of the settings
    const change = value === undefined || value === '' ? giveBack(document, field) : put(document, field, value);
    return change ?? [];
  });
  if (changes.length === 0) return { text, changes };
  const written = document.toString({ lineWidth: 0 });
  return { text: text.includes('\r\n') ? written.replaceAll('\n', '\r\n') : written, changes };
}

function put(document: Document, field: Field, value: Value): FileChange | undefined {
  const present = scalarAt(document, field);
  const before = readValue(present);
  if (before !== undefined && String(before) === String(value)) return undefined;
  const marked = isMarked(present, field);
  const theirs = marked ? rest(present, field) : (present?.comment?.trim() ?? '');
  place(document, field, value, present, `${mark(field)}${theirs === '' ? '' : `; ${theirs}`}`);
  return change(field, before, value, before !== undefined && !marked && before !== field.standard);
}

/** The setting is gone: what it had written goes too. */
function giveBack(document: Document, field: Field): FileChange | undefined {
  const present = scalarAt(document, field);
  if (!isMarked(present, field)) return undefined;
  const before = readValue(present);
  const { standard, path } = field;
  if (standard !== undefined) {
    place(document, field, standard, present, rest(present, field));
    return change(field, before, standard, false);
  }
  document.deleteIn(path);
  const parent = path.slice(0, -1);
  const left = parent.length === 0 ? undefined : document.getIn(parent, true);
  if (isMap(left) && left.items.length === 0) document.deleteIn(parent);
  return change(field, before, undefined, false);
}

function place(document: Document, field: Field, value: Value, present: Scalar | undefined, comment: string): void {
  const scalar = document.createNode(value) as Scalar; // of a scalar it makes one
  scalar.comment = comment === '' ? null : ` ${comment}`;
  scalar.commentBefore = present?.commentBefore ?? null;
  scalar.spaceBefore = present?.spaceBefore ?? false;
  // In braces each comment would need a line of its own.
  const parent = document.getIn(field.path.slice(0, -1), true);
  if (isMap(parent)) parent.flow = false;
  document.setIn(field.path, scalar);
}

const change = ({ setting, path }: Field, before: Value | undefined, after: Value | undefined, byHand: boolean) => ({
  setting,
  path: path.join('.'),
  before,
  after,
  byHand,
});

const mark = ({ setting }: Field) => `set by ${setting}`;

function isMarked(scalar: Scalar | undefined, field: Field): boolean {
  const comment = scalar?.comment?.trim() ?? '';
  return comment === mark(field) || comment.startsWith(`${mark(field)};`);
}

/** What a person wrote behind the mark. */
const rest = (scalar: Scalar | undefined, field: Field) =>
  (scalar?.comment ?? '').trim().slice(mark(field).length).replace(/^;/, '').trim();

function scalarAt(document: Document, { path }: Field): Scalar | undefined {
  const node = document.getIn(path, true);
  return isScalar(node) ? node : undefined;
}

/** The text of a number as it was written: an image may be called 1.10. */
function readValue(scalar: Scalar | undefined): Value | undefined {
  if (scalar === undefined || scalar.value === null) return undefined;
  if (typeof scalar.value === 'boolean') return scalar.value;
  return typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? String(scalar.value));
}
