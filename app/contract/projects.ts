import { z } from 'zod';
import { changeView } from './changes.ts';
import { reasonView } from './problem.ts';
import { allowedView, windowView } from './switches.ts';
import { containerName, count, flag, page, projectParams, revision, teamName, time } from './values.ts';

/** How far reconcile has come with a project. */
const phases = ['waiting', 'applying', 'applied', 'failed', 'held', 'needs-confirmation', 'removing'] as const;

export const healthStates = ['healthy', 'progressing', 'suspended', 'missing', 'degraded', 'unknown'] as const;

/** A spec as it is sent. What may be in it is synth's to say, with lines and columns; OpenAPI shows that schema. */
export const specBody = z.record(z.string(), z.unknown());

const objectReason = z.object({
  object: z.string().describe('`apps/v1 Deployment namespace/name`.'),
  reason: z.string(),
});

const objectKey = {
  apiVersion: z.string(),
  kind: z.string(),
  namespace: z.string().describe('Empty for cluster-scoped kinds.'),
  name: z.string(),
};

/** Deletions, and replacements that lose data, that wait until a person confirms them. */
export const waitingView = z
  .object({
    digest: z.string().describe('Send it to POST …/confirm: it stands for exactly this list.'),
    objects: z.array(
      z.object({
        ...objectKey,
        action: z
          .enum(['delete', 'replace'])
          .describe('replace: Kubernetes cannot change it; it is deleted and made anew, and its data is lost.'),
      }),
    ),
    createdAt: time,
  })
  .meta({ id: 'Waiting' });

/** Something that happened to a project and that no status shows for long. */
const reportView = z
  .object({
    kind: z.enum(['adoption', 'fight', 'drift', 'kept', 'replaced']),
    object: z.string().describe('`apps/v1 Deployment namespace/name`.'),
    message: z.string(),
    managers: z
      .array(z.object({ manager: z.string(), fields: z.array(z.string()) }))
      .describe('Who had written which fields, where that is known.'),
    at: time,
  })
  .meta({ id: 'Report' });

const holdView = z
  .object({
    hold: z.enum(['scale-zero', 'absent', 'detect']),
    reason: z.string(),
    actor: z.string(),
    until: time.nullable().describe('It ends by itself then; null: only by POST …/resume.'),
  })
  .meta({ id: 'Hold' });

const summary = {
  environment: z.string(),
  team: z.string(),
  project: z.string(),
  namespace: z.string(),
  phase: z.enum(phases),
  health: z.enum(healthStates),
  reasons: z.array(objectReason).describe('Everything that is not healthy, and why.'),
  problem: reasonView.nullable().describe('What keeps the phase from going on.'),
  hosts: z.array(z.string()).describe('Where it is served, as URLs.'),
  images: z.array(z.object({ container: z.string(), image: z.string() })),
  revision: z.string().nullable().describe('The newest commit of the spec; null before the first.'),
  etag: z.string().nullable().describe('Blob id of the spec, for If-Match.'),
  appliedRevision: z.string().nullable().describe('The last commit that was applied completely.'),
  appliedAt: time.nullable(),
  attempts: z.int().describe('Tries that failed one after the other; 0: the last one did not.'),
  retryAt: time.nullable().describe('When the next try is due; null: when something changes.'),
  hold: holdView.nullable(),
  updatedAt: time,
};

/** A project in a list. */
export const projectSummary = z.object(summary).meta({ id: 'ProjectSummary' });

/** A project with its spec. */
export const projectView = z
  .object({
    ...summary,
    spec: z.record(z.string(), z.unknown()).nullable().describe('The spec as JSON; null before its first commit.'),
    change: changeView.nullable().describe('The newest change.'),
    waiting: waitingView.nullable(),
    reports: z.array(reportView).describe('The newest 20 of what happened to it beside commits, newest first.'),
    allowed: allowedView,
    windows: z.array(windowView).describe('The windows that are about it.'),
    createdAt: time,
  })
  .meta({ id: 'Project' });

/** What a change would do: the answer to ?dryRun. */
export const previewView = z
  .object({
    unchanged: z.boolean(),
    objects: z.array(z.object({ ...objectKey, action: z.enum(['create', 'change', 'delete']) })),
    diff: z.string().describe('Unified difference of manifests.yaml.'),
  })
  .meta({ id: 'Preview' });

export const objectView = z
  .object({
    ...objectKey,
    uid: z.string().nullable().describe('null while it does not exist.'),
    health: z.enum(healthStates),
    reason: z.string().describe('Why it is not healthy; empty when it is.'),
    inGit: z.boolean(),
    deleting: z.boolean(),
  })
  .meta({ id: 'Object' });

export const diffView = z
  .object({
    revision: z.string().nullable(),
    equal: z.boolean(),
    objects: z.array(
      z.object({
        ...objectKey,
        state: z.enum(['equal', 'different', 'missing', 'extra']),
        diff: z.string().describe('Unified difference, Git against live; values of Secrets are masked.'),
      }),
    ),
  })
  .meta({ id: 'Diff' });

export const historyEntry = z
  .object({
    id: z.string(),
    revision: z.string().nullable(),
    phase: z.enum(phases),
    health: z.enum(healthStates),
    message: z.string(),
    at: time,
  })
  .meta({ id: 'HistoryEntry' });

/** The stream of a project: `status` whenever its summary changes (first: now), `history` for each entry. */
export const projectEvents = { status: projectSummary, history: historyEntry } as const;

export const projectsQuery = z.strictObject({
  ...page,
  team: teamName.optional(),
  health: z.enum(healthStates).optional(),
  q: z.string().max(100).optional().describe('Part of team/project.'),
});

export const putQuery = z.strictObject({
  dryRun: flag.describe('Render and show the difference, commit nothing.'),
  message: z.string().max(1000).optional().describe('First line of the commit message.'),
});

export const deleteQuery = z.strictObject({
  confirm: z.string().max(100).optional().describe('<team>/<project>: yes, namespace and volumes too.'),
  dryRun: flag.describe('Show what would be deleted.'),
  message: z.string().max(1000).optional().describe('First line of the commit message.'),
});

export const manifestsQuery = z.strictObject({ revision: revision.optional().describe('Default: the newest.') });
export const historyQuery = z.strictObject(page);
export const logsParams = z.strictObject({ ...projectParams.shape, container: containerName });
export const logsQuery = z.strictObject({
  follow: flag.describe('Stay and send new lines as they come.'),
  tail: count(0, 10_000, 200).describe('How many of the last lines.'),
});

export const suspendBody = z.strictObject({
  reason: z.string().trim().min(1).max(500),
  until: z.iso.datetime({ offset: true }).optional().describe('Resumes by itself then.'),
});

export const confirmBody = z.strictObject({
  digest: z.string().min(1).max(100).describe('The digest of the list that was shown (`waiting.digest`).'),
});
