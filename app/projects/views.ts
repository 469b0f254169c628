import type { z } from 'zod';
import type { changeView } from '#contract/changes.ts';
import type { historyEntry, projectSummary, waitingView } from '#contract/projects.ts';
import { namespaceOf } from '#environments/layout.ts';
import type { Change } from '#publish/store.ts';
import type { StoredReport } from '#reconcile/reports.ts';
import type { HistoryRow, ProjectRow, WaitingRow } from './store.ts';

type Summary = z.input<typeof projectSummary>;

const iso = (date: Date | null | undefined): string | null => date?.toISOString() ?? null;

const waitsForYes = {
  code: 'CONFIRMATION_NEEDED',
  detail: 'Deletions wait for a yes: the project shows them under waiting; POST …/confirm with the digest there.',
};

/** A row as lists show it. `fallback` stands in for a status that reconcile never writes (runtime none). */
export function toSummary(
  row: ProjectRow,
  fallback: { readonly code: string; readonly detail: string } | null,
): Summary {
  return {
    environment: row.environment,
    team: row.team,
    project: row.project,
    namespace: namespaceOf(row),
    // The columns hold only what reconcile wrote; the contract checks the reply once more.
    phase: (row.phase ?? 'waiting') as Summary['phase'],
    health: (row.health ?? 'unknown') as Summary['health'],
    reasons: (row.reasons ?? []).map(({ object, reason }) => ({ object, reason })),
    problem: row.problem ?? (row.phase === null ? fallback : row.phase === 'needs-confirmation' ? waitsForYes : null),
    hosts: row.hosts.map((host) => `https://${host}`),
    images: [...row.images],
    revision: row.revision,
    etag: row.spec_blob,
    appliedRevision: row.applied_revision,
    appliedAt: iso(row.applied_at),
    attempts: row.attempts ?? 0,
    retryAt: iso(row.retry_at),
    hold:
      row.hold === null
        ? null
        : { hold: row.hold, reason: row.hold_reason ?? '', actor: row.hold_actor ?? '', until: iso(row.hold_until) },
    updatedAt: row.updated_at.toISOString(),
  };
}

export const toChangeView = (change: Change): z.input<typeof changeView> => ({
  id: change.id,
  kind: change.kind,
  environment: change.environment,
  team: change.team,
  project: change.project,
  actor: change.actor,
  message: change.message,
  state: change.state,
  revision: change.revision ?? null,
  problem: change.problem === undefined ? null : { ...change.problem, findings: change.problem.findings as never },
  createdAt: change.createdAt.toISOString(),
  finishedAt: iso(change.finishedAt),
});

export const toReportView = ({ kind, object, message, managers, at }: StoredReport) => ({
  kind,
  object,
  message,
  managers: managers.map(({ manager, fields }) => ({ manager, fields: [...fields] })),
  at: at.toISOString(),
});

export const toHistoryView = (row: HistoryRow): z.input<typeof historyEntry> => ({
  id: String(row.id),
  revision: row.revision,
  phase: row.phase as z.input<typeof historyEntry>['phase'],
  health: row.health as z.input<typeof historyEntry>['health'],
  message: row.message,
  at: row.at.toISOString(),
});

/** `v1 Namespace name (uid)` as reconcile wrote it, with `replace` before it or not, taken apart again. */
export const toWaitingView = ({ digest, objects, created_at }: WaitingRow): z.input<typeof waitingView> => ({
  digest,
  objects: objects.map((text) => {
    const action = text.startsWith('replace ') ? 'replace' : 'delete';
    const [apiVersion = '', kind = '', path = ''] = text.replace(/^replace /, '').split(' ');
    const [namespace, name] = path.includes('/') ? path.split('/') : ['', path];
    return { apiVersion, kind, namespace: namespace ?? '', name: name ?? '', action };
  }),
  createdAt: created_at.toISOString(),
});
