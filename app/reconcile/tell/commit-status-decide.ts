import { readCursor } from '#database/cursors.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { keyText, manifestsFile, type ProjectKey, placeOf, projectName, root, specFile } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';
import type { Repository } from '#git/repository.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { digestOf } from '../decide/desired.ts';
import {
  type Aspect,
  aspects,
  type Facts,
  isNews,
  judge,
  nextRow,
  type Outcome,
  outcomeOf,
  toldOf,
  troubleOf,
  type Verdict,
} from './commit-status.ts';
import { createReasonMask, type MaskReason } from './commit-status-mask.ts';
import { type NoteDoors, noteCommits } from './commit-status-note.ts';
import {
  isSettled,
  type OpenRow,
  readFacts,
  readOpenRows,
  readStatuses,
  type StatusRow,
  type StoredFacts,
  type Wanted,
  writeRows,
  writeStatuses,
} from './commit-status-store.ts';

export interface DecideDoors extends NoteDoors {
  readonly database: Database;
  /** What is taken out of reasons before they leave. */
  readonly secrets: Pick<Secrets, 'list' | 'resolve'>;
}

/** Decides what the Git host should be told. */
export interface Decider {
  /**
   * Looks at what came to the branch and how the projects stand now, and writes what follows from it: all of it or
   * nothing. True when there is news for the host.
   */
  look(): Promise<boolean>;
}

export function createDecider(doors: DecideDoors): Decider {
  const wanted = createWantedReader(doors.repository);
  return {
    look: async () => {
      const tip = await doors.repository.tip();
      if (tip === undefined || (await isSettled(doors.database, tip))) return false;
      return await doors.database.transaction(async (tx) => {
        const noted = await noteCommits(doors, tx, tip);
        if (noted === 'behind') return false;
        const rows = await readOpenRows(tx);
        if (rows.length === 0) return false;
        const keys = [...new Map(rows.filter(isUndecided).map((row) => [keyText(row), row])).values()];
        const facts = await factsOf(doors, tx, await wanted.at(tip, keys), tip);
        // As many facts as keys.
        const judged = new Map(
          keys.map((key, i) => [keyText(key), { verdict: judge(facts[i]!), trouble: troubleOf(facts[i]!) }]),
        );
        return (await writeOutcomes(tx, rows, { judged, mask: createReasonMask(doors) })) || noted > 0;
      });
    },
  };
}

const isUndecided = (row: OpenRow): boolean =>
  aspects.some((aspect) => row[aspect] === 'open' || row[aspect] === 'failed');

/** What publish said of the past says nothing of a spec, or a folder, that it has not looked at yet. */
async function factsOf(
  { repository }: DecideDoors,
  tx: Queryable,
  wanted: readonly Wanted[],
  tip: string,
): Promise<readonly Facts[]> {
  const facts = await readFacts(tx, wanted);
  const isOpen = ({ rendered, refusal }: StoredFacts) => !rendered && refusal === undefined;
  const asked = facts.some((one) => isOpen(one) && (one.refusedRender ?? one.keptOut) !== undefined);
  const scanned = asked ? await readCursor(tx, 'publish') : undefined;
  if (scanned === undefined) return facts;
  return await Promise.all(
    facts.map(async (one, i): Promise<Facts> => {
      const key = wanted[i];
      if (!isOpen(one) || key === undefined) return one;
      if (one.keptOut !== undefined && scanned === tip) return { ...one, refusal: one.keptOut };
      const looked = one.refusedRender !== undefined && (await blobAt(repository, scanned, key)) === one.specBlob;
      return looked ? { ...one, refusal: one.refusedRender } : one;
    }),
  );
}

const blobAt = (repository: Repository, revision: string, key: ProjectKey) =>
  repository.blobId(revision, specFile(key)).catch(() => undefined);

interface Judged {
  readonly verdict: Readonly<Record<Aspect, Verdict>>;
  /** The kind of what went wrong. */
  readonly trouble: string;
}

/** How the projects stand by their keys, and what takes secrets out of why. */
interface Judgements {
  readonly judged: ReadonlyMap<string, Judged>;
  readonly mask: MaskReason;
}

async function writeOutcomes(tx: Queryable, rows: readonly OpenRow[], judgements: Judgements): Promise<boolean> {
  const after = rows.map((row) => {
    const verdict = judgements.judged.get(keyText(row))?.verdict;
    if (verdict === undefined) return row;
    const next = (aspect: Aspect) =>
      nextRow({ name: projectName(row), state: row[aspect], superseded: row.superseded }, verdict[aspect]);
    return { ...row, applied: next('applied'), healthy: next('healthy') };
  });
  await writeRows(
    tx,
    after.filter((row, i) => row.applied !== rows[i]?.applied || row.healthy !== rows[i]?.healthy),
  );
  const byNumber = Map.groupBy(after, ({ number }) => number);
  const news: { number: string; aspect: Aspect; outcome: Outcome }[] = [];
  for (const status of await readStatuses(tx, [...byNumber.keys()])) {
    const { number, aspect } = status;
    const outcome = await outcomeNow(status, byNumber.get(number) ?? [], judgements);
    const same = outcome.state === status.outcome.state && outcome.description === status.outcome.description;
    if (!same && isNews({ outcome: status.told, count: status.sent }, outcome)) news.push({ number, aspect, outcome });
  }
  await writeStatuses(tx, news);
  return news.length > 0;
}

/** What a status says by now. Only the reason that is told is masked: of a thousand failures that is one. */
async function outcomeNow(
  { aspect, outcome: before }: Pick<StatusRow, 'aspect' | 'outcome'>,
  projects: readonly OpenRow[],
  { judged, mask }: Judgements,
): Promise<Outcome> {
  const rows = projects.map((row) => ({ name: projectName(row), state: row[aspect], superseded: row.superseded }));
  const reasons = new Map(
    projects.flatMap((row): [string, string][] => {
      const verdict = judged.get(keyText(row))?.verdict[aspect];
      return verdict?.state === 'failed' ? [[projectName(row), verdict.reason]] : [];
    }),
  );
  const name = toldOf(rows, reasons)?.name;
  const told = projects.find((row) => projectName(row) === name);
  if (name === undefined || told === undefined) return outcomeOf(aspect, rows, reasons, before);
  const masked = await mask(told, reasons.get(name) ?? '');
  // What was told once is not taken back for a Vault that is away.
  if (masked === undefined && before.state === 'failure') return before;
  const trouble = judged.get(keyText(told))?.trouble ?? 'failed';
  return outcomeOf(aspect, rows, new Map([[name, masked ?? `${trouble} (${leftOut})`]]), before);
}

const leftOut = 'why is left out: the secrets to be masked in it cannot be read';

/** Projects as Git has them. What was read is kept until a commit changes it. */
function createWantedReader(repository: Repository) {
  const known = new Map<string, Wanted>();
  let knownAt: string | undefined;
  const follow = async (tip: string) => {
    if (knownAt === tip) return;
    if (known.size > 0) {
      const changes = await repository.changed(knownAt, tip, root).catch(() => undefined);
      if (changes === undefined) known.clear();
      for (const { path } of changes ?? []) {
        const place = placeOf(path);
        if (place.kind === 'spec' || place.kind === 'manifests') known.delete(keyText(place.key));
      }
    }
    knownAt = tip;
  };
  return {
    at: async (tip: string, keys: readonly ProjectKey[]): Promise<readonly Wanted[]> => {
      await follow(tip);
      const texts = new Set(keys.map(keyText));
      for (const text of known.keys()) if (!texts.has(text)) known.delete(text);
      return await Promise.all(
        keys.map(async (key) => {
          const there = known.get(keyText(key)) ?? (await readWanted(repository, tip, key));
          known.set(keyText(key), there);
          return there;
        }),
      );
    },
  };
}

async function readWanted(repository: Repository, tip: string, key: ProjectKey): Promise<Wanted> {
  const [spec, manifests] = await repository.readMany(tip, [specFile(key), manifestsFile(key)]);
  const { environment, team, project } = key;
  return {
    ...{ environment, team, project },
    specBlob: spec && blobIdOf(spec),
    manifestsBlob: manifests && blobIdOf(manifests),
    specDigest: spec && digestOf(spec),
    manifestsDigest: manifests && digestOf(manifests),
  };
}
