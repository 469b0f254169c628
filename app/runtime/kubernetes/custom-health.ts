import type { Health } from '../runtime.ts';
import { at, conditionsOf } from './fields.ts';
import { healthOf } from './health.ts';

type Evaluated = { readonly value: unknown } | { readonly error: string };
interface Expression {
  evaluate(self: unknown): Evaluated;
}

/** How the health of a custom kind is told; what is absent is left to the conditions that most operators keep. */
export interface HealthRule {
  readonly healthy?: Expression | undefined;
  readonly degraded?: Expression | undefined;
  readonly suspended?: Expression | undefined;
  readonly reason?: Expression | undefined;
}

/**
 * Health by typed expressions: deleting and unseen versions first, as for every kind; then degraded, suspended,
 * healthy. Without `healthy` the conditions decide. An expression that cannot be evaluated (a field that is not there
 * yet) is not true, and its error is the reason. Total and without a clock.
 */
export function customHealth(object: unknown, rule: HealthRule): Health {
  const general = healthOf('', object); // A kind of another operator may bear the name of one of Kubernetes' own.
  const { metadata, status } = object as { metadata?: Record<string, unknown>; status?: Record<string, unknown> };
  const isUnseen =
    typeof status?.observedGeneration === 'number' && status.observedGeneration < Number(metadata?.generation ?? 0);
  if (metadata?.deletionTimestamp !== undefined || isUnseen) return general;
  const self = object;
  const say = (state: Health['state'], fallback: string): Health => ({
    state,
    reason: textOf(rule.reason?.evaluate(self)) ?? messageOf(object) ?? fallback,
  });
  if (isTrue(rule.degraded?.evaluate(self))) return say('degraded', 'its rule says that it is degraded');
  if (isTrue(rule.suspended?.evaluate(self))) return say('suspended', 'its rule says that it is suspended');
  if (rule.healthy === undefined) return general;
  const healthy = rule.healthy.evaluate(self);
  if (isTrue(healthy)) return { state: 'healthy', reason: '' };
  const why =
    'error' in healthy ? `its health cannot be told yet: ${healthy.error}` : 'its rule does not call it healthy yet';
  return say('progressing', why);
}

const isTrue = (result: Evaluated | undefined) => result !== undefined && 'value' in result && result.value === true;

function textOf(result: Evaluated | undefined): string | undefined {
  const value = result !== undefined && 'value' in result ? result.value : undefined;
  return typeof value === 'string' && value !== '' ? value.slice(0, 500) : undefined;
}

/** What the newest condition that is not as it should be says. */
function messageOf(object: unknown): string | undefined {
  const conditions = conditionsOf(at(object, 'status'));
  const bad = conditions.find(({ type, status }) =>
    type === 'Stalled' || type === 'Reconciling' ? status === 'True' : type === 'Ready' && status === 'False',
  );
  return bad === undefined ? undefined : bad.message || bad.reason || undefined;
}
