import { Fault } from '#base/errors.ts';
import { ignoreFault, type Policies, policiesOf, policyFault } from '#environments/policies.ts';
import { annotations, type KubernetesObject, keyOf, objectText } from '#runtime/runtime.ts';

/**
 * What the annotation `plinth.dev/policy` of an object asks for.
 * @throws Fault OBJECT_NOT_ALLOWED for a policy or a field to ignore that is none
 */
export function policiesOfObject(object: KubernetesObject): Policies | undefined {
  const given = object.metadata.annotations;
  if (given === undefined) return undefined;
  const why = policyFault(given[annotations.policy]) ?? ignoreFault(given[annotations.ignore]);
  if (why !== undefined) throw new Fault('OBJECT_NOT_ALLOWED', { object: objectText(keyOf(object)), why });
  return policiesOf(given[annotations.policy]);
}
