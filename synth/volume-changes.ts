import { type Finding, InvalidInput } from '#environments/finding.ts';
import { type ProjectKey, specFile } from '#environments/layout.ts';
import { dig } from './dig.ts';
import { type Manifest, parseManifests } from './manifests.ts';
import { amountOf } from './quantity.ts';

/** Manifests, and what the spec calls their claims. */
interface WithVolumes {
  readonly manifests: string;
  readonly volumes: readonly { readonly claim: string; readonly name: string }[];
}

/**
 * What a change of a spec may not do to the volumes that its project has: Kubernetes makes no volume smaller and gives
 * none another class, and to make it anew loses what it holds. Empty when all is well.
 * @param before manifests.yaml as it stands; undefined: there is none yet
 */
export function volumeFindings(
  key: ProjectKey,
  before: string | undefined,
  { manifests, volumes }: WithVolumes,
): readonly Finding[] {
  if (before === undefined) return [];
  const old = new Map(
    parseManifests(before)
      .filter(isClaim)
      .map((claim) => [claim.metadata.name, claim]),
  );
  const file = specFile(key);
  return parseManifests(manifests)
    .filter(isClaim)
    .flatMap((claim) => {
      const known = old.get(claim.metadata.name);
      const why = known === undefined ? undefined : changeFault(known, claim);
      const name = volumes.find((one) => one.claim === claim.metadata.name)?.name ?? claim.metadata.name;
      return why === undefined ? [] : [{ file, path: `volumes.${name}`, message: `${why}; ${wayOut}` }];
    });
}

/** @throws InvalidInput with what `volumeFindings` finds */
export function refuseVolumeChanges(...asked: Parameters<typeof volumeFindings>): void {
  const findings = volumeFindings(...asked);
  if (findings.length > 0) throw new InvalidInput(findings);
}

const wayOut = 'its data would be lost. A volume of another name is a new one; this one then goes after a yes';

const isClaim = ({ kind }: Manifest): boolean => kind === 'PersistentVolumeClaim';

function changeFault(before: Manifest, after: Manifest): string | undefined {
  const [was, wanted] = [before, after].map((claim) => String(dig(claim, 'spec.resources.requests.storage')));
  if (was !== undefined && wanted !== undefined && amountOf(wanted) < amountOf(was))
    return `it has ${was} and cannot shrink to ${wanted}`;
  const [old, now] = [before, after].map((claim) => dig(claim, 'spec.storageClassName'));
  if (old !== now) return `it is of class ${classText(old)} and cannot become ${classText(now)}`;
  const [mode, next] = [before, after].map((claim) => JSON.stringify(dig(claim, 'spec.accessModes')));
  return mode === next ? undefined : `its access mode is ${mode} and cannot become ${next}`;
}

const classText = (name: unknown): string => (typeof name === 'string' ? name : "the cluster's default");
