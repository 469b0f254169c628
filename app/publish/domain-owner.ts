import { type Finding, InvalidInput } from '#environments/finding.ts';
import { placeOf } from '#environments/layout.ts';
import { loadEnvironment } from '#environments/load.ts';
import type { Repository } from '#git/repository.ts';

/** The environment.yaml files of a revision, as far as they are taken up, by path. */
export interface Claims {
  readonly repository: Repository;
  readonly revision: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** As they stood when all of them went together; empty where that is not known. */
  readonly good: ReadonlyMap<string, Uint8Array>;
}

/** So many earlier versions are looked at for when a file began to claim its domain. */
const mostEarlier = 20;

/**
 * Whose fault it is that a file does not fit the others. Of those that want one domain it stays with the one that had
 * it when all was well, else with the one that claimed it first on the branch; whatever else they changed since.
 * Otherwise it is the file's own fault, unless it is as it was and another one changed.
 */
export async function guiltyOf(claims: Claims, path: string, findings: readonly Finding[]): Promise<string> {
  const { files, good } = claims;
  const domain = domainIn(path, files.get(path));
  if (domain !== undefined && findings.some((finding) => finding.path === 'domain')) {
    const rivals = [...files.keys()].filter((one) => domainIn(one, files.get(one)) === domain).sort();
    const keeper = await ownerOf(claims, rivals, domain);
    return keeper === path ? (rivals.find((one) => one !== path) ?? path) : path;
  }
  const isNew = (one: string) => {
    const [now, before] = [files.get(one), good.get(one)];
    return now !== undefined && (before === undefined || Buffer.compare(now, before) !== 0);
  };
  if (isNew(path) || good.size === 0) return path;
  return [...files.keys()].find(isNew) ?? path;
}

async function ownerOf(claims: Claims, rivals: readonly string[], domain: string): Promise<string | undefined> {
  const had = rivals.filter((path) => domainIn(path, claims.good.get(path)) === domain);
  const [first, ...others] = had.length > 0 ? had : rivals;
  if (first === undefined || others.length === 0) return first;
  let owner = { path: first, since: await claimedAt(claims, first, domain) };
  for (const path of others) {
    const since = await claimedAt(claims, path, domain);
    if (since !== owner.since && (await claims.repository.isAncestor(since, owner.since))) owner = { path, since };
  }
  return owner.path;
}

/** The step of the branch by which a file began to claim its domain, without a break until now. */
async function claimedAt({ repository, revision }: Claims, path: string, domain: string): Promise<string> {
  let since = revision;
  for (const commit of await repository.history(path, { limit: mostEarlier, upTo: revision })) {
    if (domainIn(path, await repository.read(commit.revision, path)) !== domain) break;
    since = commit.revision;
  }
  return since;
}

/** The domain that a file claims; undefined: it cannot be read, and claims none. */
function domainIn(path: string, content: Uint8Array | undefined): string | undefined {
  const place = placeOf(path);
  if (content === undefined || place.kind !== 'environment') return undefined;
  try {
    return loadEnvironment(place.environment, content).domain;
  } catch (error) {
    if (error instanceof InvalidInput) return undefined;
    throw error;
  }
}
