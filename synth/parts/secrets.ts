import { k8s } from 'cdk8s-plus-28';
import { metadataOf, type Scope } from './scope.ts';

export const secretAnnotation = 'plinth.dev/secret';
export const secretKeyAnnotation = 'plinth.dev/secret-key';
/** The key under which a Secret object holds the value. */
export const secretKey = 'value';

/** References, never values: reconcile fills them at apply, from the store, and keeps their versions to itself. */
export function addSecrets({ chart, plan }: Scope): void {
  for (const { name, scope } of plan.secrets) {
    const pull = scope === 'organization';
    new k8s.KubeSecret(chart, `secret-${name}`, {
      metadata: metadataOf(plan, name, plan.key.project, {
        [secretAnnotation]: `${scope}/${name}`,
        [secretKeyAnnotation]: pull ? '.dockerconfigjson' : secretKey,
      }),
      type: pull ? 'kubernetes.io/dockerconfigjson' : 'Opaque',
    });
  }
}
