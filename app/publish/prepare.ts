import { Fault } from '#base/errors.ts';
import { environmentFile, manifestsFile, type ProjectKey, projectName, specFile } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import { type Rendered, refuseVolumeChanges, render } from '#synth/render.ts';
import type { Change } from './store.ts';

/** One file of a commit; `null` removes it. */
export interface Edit {
  readonly path: string;
  readonly content: string | null;
}

/** What a change makes of the tree, before it is written. */
export interface Prepared {
  readonly edits: readonly Edit[];
  /** What synth made; undefined for a removal and for environment.yaml. */
  readonly rendered: Rendered | undefined;
  /** The spec as it will stand in Git; undefined where `rendered` is. */
  readonly spec: string | undefined;
}

/** The files of one project, or environment.yaml, as they stand before the change. */
export interface Before {
  readonly spec: string | undefined;
  readonly specBlob: string | undefined;
  readonly manifests: string | undefined;
  readonly environmentYaml: string | undefined;
}

/**
 * Turns a change into edits, on top of what is there. No edits: everything is as wished already.
 * @throws Fault PRECONDITION_FAILED | PROJECT_NOT_FOUND; InvalidInput when the spec cannot be rendered
 */
export function prepare(change: Change, before: Before, environment: Environment): Prepared {
  if (change.kind === 'settings') {
    const path = environmentFile(change.environment);
    return {
      edits: differing([{ path, content: change.content ?? '' }], [before.environmentYaml]),
      rendered: undefined,
      spec: undefined,
    };
  }
  checkExpectation(change, before);
  if (change.kind === 'delete') {
    const files = [specFile(change), manifestsFile(change)].map((path) => ({ path, content: null }));
    return { edits: differing(files, [before.spec, before.manifests]), rendered: undefined, spec: undefined };
  }
  const spec = change.kind === 'render' ? before.spec : change.content;
  if (spec === undefined) {
    // A spec that a push took away needs no rendering; whatever it left behind goes with it.
    const left = [{ path: manifestsFile(change), content: null }];
    return { edits: differing(left, [before.manifests]), rendered: undefined, spec: undefined };
  }
  const rendered = renderSpec(change, spec, environment);
  // What a push brought stands in Git already: reconcile asks a person before it loses data.
  if (change.kind !== 'render') refuseVolumeChanges(change, before.manifests, rendered);
  const files = [
    { path: specFile(change), content: spec },
    { path: manifestsFile(change), content: rendered.manifests },
  ];
  return { edits: differing(files, [before.spec, before.manifests]), rendered, spec };
}

/** A team has at the most so many projects in an environment. */
export const mostProjects = 1000;

/** Renders a spec for a project. @throws InvalidInput, also for names that cannot be used */
export const renderSpec = (
  { environment: name, team, project }: ProjectKey,
  spec: string | Uint8Array,
  environment: Environment,
): Rendered => render({ environment, key: { environment: name, team, project }, spec });

function checkExpectation(change: Change, before: Before): void {
  if (change.expected !== undefined && change.expected !== (before.specBlob ?? ''))
    throw new Fault('PRECONDITION_FAILED', {
      expected: change.expected === '' ? 'absent' : change.expected,
      actual: before.specBlob ?? 'absent',
    });
  if (change.kind === 'delete' && before.spec === undefined)
    throw new Fault('PROJECT_NOT_FOUND', {
      environment: change.environment,
      team: change.team,
      project: change.project,
    });
}

const differing = (edits: readonly Edit[], before: readonly (string | undefined)[]): readonly Edit[] =>
  edits.filter(({ content }, i) => content !== (before[i] ?? null));

const subjects: Record<Change['kind'], (name: string) => string> = {
  put: (name) => `Change ${name}`,
  delete: (name) => `Remove ${name}`,
  rollback: (name) => `Roll back ${name}`,
  render: (name) => `Render ${name}`,
  settings: (name) => `Settings of ${name}`,
};

/** The first line of the commit: what happens to which project where. */
export function subjectOf(change: Change): string {
  const name = change.kind === 'settings' ? change.environment : `${projectName(change)} in ${change.environment}`;
  return change.message === '' ? subjects[change.kind](name) : (change.message.split('\n')[0] ?? '').slice(0, 120);
}
