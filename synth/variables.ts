import { type CatalogueEntry, entryOf } from './catalogue.ts';
import type { Complain, SpecPath, Variable } from './plan.ts';
import type { Project } from './schema.ts';

/** What one dependency offers to those who depend on it. */
export interface Offer {
  readonly from: string;
  /** Under the dependency's own name: DB_HOST, DB_URL. */
  readonly own: readonly Variable[];
  /** Under the names that libraries look for: DATABASE_URL. */
  readonly conventional: readonly Variable[];
}

/** `order-db` → `ORDER_DB` */
const upper = (name: string) => name.toUpperCase().replaceAll('-', '_');

type Service = Project['services'][string];

/** Where a service keeps its data; only its own name unless the spec says otherwise. */
export const claimOf = (name: string, service: Service): string =>
  typeof service === 'string' ? name : (service.claim ?? name);

/** Named by the claim, for the data knows the password: a renamed service that keeps its claim keeps both. */
export const passwordSecret = (name: string, service: Service, suffix = 'password'): string =>
  `${claimOf(name, service)}-${suffix}`;

export function offerOfService(name: string, service: Service): Offer {
  const entry = entryOf(typeof service === 'string' ? service : service.kind);
  const prefix = upper(name);
  const fields = fieldsOf(name, entry, passwordSecret(name, service));
  const own: Variable[] = Object.entries(fields).map(([field, value]) => ({
    name: `${prefix}_${field.toUpperCase()}`,
    ...value,
  }));
  const conventional: Variable[] = Object.entries(entry.variables).flatMap(([variable, field]) => {
    const value = fields[field];
    return value === undefined ? [] : [{ name: variable, ...value }];
  });
  return { from: name, own, conventional };
}

type Value = { readonly value: string } | { readonly secret: string };

function fieldsOf(name: string, entry: CatalogueEntry, secret: string): Readonly<Record<string, Value>> {
  const password = `$(${upper(name)}_PASSWORD)`;
  const url = entry.url
    .replace('{user}', entry.userName ?? '')
    .replace('{password}', password)
    .replace('{host}', name)
    .replace('{port}', String(entry.port))
    .replace('{database}', entry.database ?? '');
  return {
    ...('password' in entry.secrets ? { password: { secret } } : {}),
    host: { value: name },
    port: { value: String(entry.port) },
    ...(entry.userName === undefined ? {} : { user: { value: entry.userName } }),
    ...(entry.database === undefined ? {} : { database: { value: entry.database } }),
    url: { value: url },
  };
}

export function offerOfContainer(name: string, port: number | undefined, publicUrl: string | undefined): Offer {
  const prefix = upper(name);
  const own: Variable[] = [];
  if (port !== undefined)
    own.push(
      { name: `${prefix}_HOST`, value: name },
      { name: `${prefix}_PORT`, value: String(port) },
      { name: `${prefix}_URL`, value: `http://${name}:${port}` },
    );
  if (publicUrl !== undefined) own.push({ name: `${prefix}_PUBLIC_URL`, value: publicUrl });
  return { from: name, own, conventional: [] };
}

/**
 * All variables of a container: what it is told about itself, what its dependencies offer, then its own, each after
 * those that its `$(NAME)` names. Conventional names that two dependencies would give are left out: which of them
 * DATABASE_URL means must be said.
 */
export function joinVariables(options: {
  readonly about: readonly Variable[];
  readonly offers: readonly Offer[];
  readonly own: readonly Variable[];
  readonly path: SpecPath;
  readonly complain: Complain;
}): Variable[] {
  const { about, offers, own, path, complain } = options;
  const joined = new Map<string, Variable>();
  for (const [name, givers] of groupBy(
    offers.flatMap(({ from, conventional }) => conventional.map((each) => ({ from, each }))),
  ))
    if (givers.length === 1 && givers[0] !== undefined) joined.set(name, givers[0].each);
  const giver = new Map<string, string>();
  for (const { from, own: offered } of offers)
    for (const variable of offered) {
      const other = giver.get(variable.name);
      if (other !== undefined)
        complain([...path, 'dependsOn'], `${other} and ${from} both give ${variable.name}; rename one of them`);
      giver.set(variable.name, from);
      joined.set(variable.name, variable);
    }
  for (const variable of [...about, ...own]) joined.set(variable.name, variable);
  return inOrderOfUse([...joined.values()], path, complain);
}

function groupBy(all: readonly { from: string; each: Variable }[]): Map<string, { from: string; each: Variable }[]> {
  return Map.groupBy(all, ({ each }) => each.name);
}

/** By name, but each after those it refers to, since Kubernetes expands `$(NAME)` only backwards. */
function inOrderOfUse(variables: readonly Variable[], path: SpecPath, complain: Complain): Variable[] {
  const byName = new Map(variables.map((variable) => [variable.name, variable]));
  const done = new Set<Variable>();
  const open: Variable[] = [];
  const visit = (variable: Variable) => {
    if (done.has(variable)) return;
    if (open.includes(variable)) {
      const circle = [...open.slice(open.indexOf(variable)), variable].map(({ name }) => name).join(' → ');
      complain([...path, 'env', variable.name], `variables name each other in a circle: ${circle}`);
      return;
    }
    open.push(variable);
    for (const name of 'value' in variable ? referencesOf(variable.value) : []) {
      const other = byName.get(name);
      if (other !== undefined) visit(other);
    }
    open.pop();
    done.add(variable);
  };
  for (const name of [...byName.keys()].sort()) {
    const variable = byName.get(name);
    if (variable !== undefined) visit(variable);
  }
  return [...done];
}

/** Names in `$(NAME)`; `$$(NAME)` is the text itself. */
export function referencesOf(value: string): string[] {
  return [...value.matchAll(/\$\$|\$\(([^)]+)\)/g)].flatMap(([, name]) => (name === undefined ? [] : [name]));
}
