import { nearest, neighbour } from './nearest.ts';
import type { UnknownName } from './report.ts';

const client = 'belongs to clients (the command line and the Pulumi package); the control plane does not read it';
const pattern =
  "stands for the settings of all providers: write the provider's name in its place, as in CHAT_OPENAI_API_KEY";
const placeholder = 'is a placeholder of the reference, not a setting';

/** Names that the references speak of and that are no settings, each with what it is. */
export const otherNames: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ARCHESTRA_API_KEY: client,
    ARCHESTRA_BASE_URL: client,
    'CHAT_<PROVIDER>_API_KEY': pattern,
    'ARCHESTRA_CHAT_<PROVIDER>_API_KEY': pattern,
    NODE_IP:
      'is one that a deployment makes for itself, to refer to it as $(NODE_IP) in other values; Kubernetes fills it in',
    READONLY_VAULT: 'is a value of SECRETS_MANAGER, not a name',
    ECR_URL: placeholder,
    RELEASE_NAME: placeholder,
    VAR_NAME: placeholder,
  }),
);

/** Prefixes that people put before the names of settings. */
const prefixes = ['ARCHESTRA_', 'PLINTH_', 'TESSLATE_'];

/** The setting's name that `name` is probably meant for, among all of them. */
export function nearestName(name: string, known: ReadonlySet<string>): string | undefined {
  const upper = name.toUpperCase();
  const bare = prefixes.find((prefix) => upper.startsWith(prefix));
  const candidates = [upper, ...(bare === undefined ? [] : [upper.slice(bare.length)])];
  return candidates.find((each) => known.has(each)) ?? candidates.map((each) => neighbour(each, known)).find(Boolean);
}

/** Of `.env` every name that is none of ours; of the process environment only slips: the rest belongs to others. */
export function findUnknown(
  env: Iterable<string>,
  file: Iterable<string>,
  known: ReadonlySet<string>,
): readonly UnknownName[] {
  const isUnknown = (name: string) => !known.has(name) && !otherNames.has(name);
  const ofFile = [...file].filter(isUnknown).map((name): UnknownName => {
    return { name, origin: '.env', nearest: nearestName(name, known) };
  });
  const ofProcess = [...env].filter(isUnknown).flatMap((name): UnknownName[] => {
    const similar = nearest(name, known);
    return similar === undefined ? [] : [{ name, origin: 'process environment', nearest: similar }];
  });
  return [...ofFile, ...ofProcess];
}
