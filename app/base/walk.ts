import type { Clock } from './clock.ts';
import type { Attributes, Span, TraceWalk } from './tracing.ts';

/** A way that data takes through the house, such as one reconcile of one project, as a trace shows it. */
export interface Walk {
  /** Does a piece of it, as a span of its own that fails where the work throws. */
  step<T>(name: string, work: () => Promise<T>, attributes?: Attributes): Promise<T>;
  set(attributes: Attributes): void;
  /** Ends it, once. A walk in which no step was done leaves no trace. */
  end(outcome?: 'ok' | 'failed'): void;
}

/** Where traces are not sent: steps are only done. */
export const untraced: Walk = {
  step: (_name, work) => work(),
  set: () => {},
  end: () => {},
};

export interface WalkDoors {
  /** Absent where tracing is off. */
  readonly traceWalk?: TraceWalk | undefined;
  readonly clock: Clock;
}

/**
 * Begins a walk. Its span is made with its first step, so that one which finds nothing to do costs nothing and is not
 * sent. `parent` is a W3C `traceparent`, where the work was asked for by a request that is traced.
 *
 *     const walk = beginWalk(doors, 'reconcile', { 'plinth.project': name });
 *     const source = await walk.step('load', () => readSource(…));
 *     walk.end();
 */
export function beginWalk(
  { traceWalk, clock }: WalkDoors,
  name: string,
  attributes: Attributes = {},
  parent?: string,
): Walk {
  if (traceWalk === undefined) return untraced;
  const startedAt = clock.now();
  let later: Attributes = attributes;
  let span: Span | undefined;
  const begun = () => {
    span ??= traceWalk({ name, attributes: later, startedAt, parent });
    return span;
  };
  return {
    step: async (what, work, about) => {
      const piece = begun().child(`${name}.${what}`, about);
      try {
        const done = await work();
        piece.end();
        return done;
      } catch (error) {
        piece.end('failed');
        throw error;
      }
    },
    set: (more) => {
      later = { ...later, ...more };
      span?.set(more);
    },
    end: (outcome) => span?.end(outcome),
  };
}
