import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { type Fields, fieldsOf, listOf, textOf } from './fields.ts';

/** The current context of a kubeconfig, looked up. Paths in it are absolute. */
export interface KubeContext {
  readonly context: string;
  readonly server: string;
  readonly cluster: Fields;
  readonly user: Fields;
}

/**
 * Reads kubeconfig files as kubectl does: of clusters, users and contexts the first with a name wins, and so does the
 * first current-context; relative paths are relative to their file.
 * @throws Error whose message says what is missing
 */
export async function readKubeconfig(paths: readonly string[]): Promise<KubeContext> {
  return contextOf(await Promise.all(paths.map(readOne)));
}

/**
 * The same of a kubeconfig that somebody handed over as text, such as in a secret. It runs no program and names no file:
 * those would be ours.
 * @throws Error whose message says what is wrong, and nothing of what stands there beside names of fields
 */
export function parseKubeconfig(text: string): KubeContext {
  const context = contextOf([fieldsOf(parsed(text))]);
  const { cluster, user } = context;
  const wrong = refusedFields.find((field) => cluster[field] !== undefined || user[field] !== undefined);
  if (wrong !== undefined) throw new Error(`it holds ${wrong}; ${insteadOf(wrong)}`);
  return context;
}

function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    // The parser's own words show the text around the fault, which may be a token.
    throw new Error('it is not YAML');
  }
}

function contextOf(files: readonly Fields[]): KubeContext {
  const context = files.map((file) => textOf(file['current-context'])).find((name) => name !== '');
  if (context === undefined) throw new Error('it has no current-context');
  const chosen = pick(files, 'contexts', 'context', context);
  const cluster = pick(files, 'clusters', 'cluster', textOf(chosen.cluster));
  const server = textOf(cluster.server);
  if (!URL.canParse(server)) throw new Error(`the cluster of context ${context} has no server address`);
  const user = textOf(chosen.user) === '' ? {} : pick(files, 'users', 'user', textOf(chosen.user));
  return { context, server, cluster, user };
}

async function readOne(path: string): Promise<Fields> {
  const file = fieldsOf(parse(await readFile(path, 'utf8')));
  const folder = dirname(resolve(path));
  return {
    ...file,
    ...Object.fromEntries(['clusters', 'users'].map((list) => [list, listOf(file[list]).map(absolute(folder))])),
  };
}

const pathFields = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile'];
const refusedFields = [...pathFields, 'exec', 'auth-provider', 'proxy-url'];

function insteadOf(field: string): string {
  if (field === 'proxy-url') return 'clusters are reached without a proxy';
  if (field === 'exec' || field === 'auth-provider')
    return 'no program is run for it: give it the token of a service account, or a client certificate';
  return field === 'tokenFile' ? 'put the token itself there as token' : `put the content there as ${field}-data`;
}

const absolute =
  (folder: string) =>
  (item: unknown): unknown =>
    Object.fromEntries(
      Object.entries(fieldsOf(item)).map(([key, value]) => {
        if (key !== 'cluster' && key !== 'user') return [key, value];
        const paths = pathFields.filter((field) => textOf(fieldsOf(value)[field]) !== '');
        const changed = paths.map((field) => [field, resolve(folder, textOf(fieldsOf(value)[field]))]);
        return [key, { ...fieldsOf(value), ...Object.fromEntries(changed) }];
      }),
    );

function pick(files: readonly Fields[], list: string, what: string, name: string): Fields {
  const found = files.flatMap((file) => listOf(file[list])).find((item) => fieldsOf(item).name === name);
  if (found === undefined) throw new Error(`it names ${what} ${JSON.stringify(name)}, which it does not hold`);
  return fieldsOf(fieldsOf(found)[what]);
}

/** True when a file is there (and is no folder). */
export const isFile = async (path: string): Promise<boolean> =>
  await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
