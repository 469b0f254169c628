import { k8s } from 'cdk8s-plus-28';
import { metadataOf, quantity, type Scope } from './scope.ts';

/** One claim for each volume, under a name of its own: renaming a container keeps its data. */
export function addClaims({ chart, plan }: Scope): void {
  for (const { claim, name, size, class: storageClassName, accessMode } of plan.claims)
    new k8s.KubePersistentVolumeClaim(chart, `claim-${claim}`, {
      metadata: metadataOf(plan, claim, name),
      spec: { accessModes: [accessMode], storageClassName, resources: { requests: { storage: quantity(size) } } },
    });
}
