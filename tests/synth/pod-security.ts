import { dig, digList } from '#synth/dig.ts';
import type { Manifest } from '#synth/render.ts';

/**
 * The Pod Security Standard `restricted`, written from its page and not from our guard, so that each can find the
 * other's mistake. Gives what a pod template violates.
 */
export function violations(template: unknown): string[] {
  const spec = dig(template, 'spec');
  const found: string[] = [];
  const must = (holds: boolean, what: string) => {
    if (!holds) found.push(what);
  };
  const containers = ['containers', 'initContainers', 'ephemeralContainers'].flatMap((list) => digList(spec, list));
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) must(!dig(spec, field), field);
  const volumes = [
    'configMap',
    'csi',
    'downwardAPI',
    'emptyDir',
    'ephemeral',
    'image',
    'persistentVolumeClaim',
    'projected',
    'secret',
  ];
  for (const volume of digList(spec, 'volumes'))
    must(
      Object.keys(volume as object).every((key) => key === 'name' || volumes.includes(key)),
      'volume types',
    );
  const contexts = [dig(spec, 'securityContext'), ...containers.map((container) => dig(container, 'securityContext'))];
  for (const context of contexts) {
    must(dig(context, 'privileged') !== true, 'privileged');
    must(dig(context, 'runAsUser') !== 0, 'runAsUser');
    must(dig(context, 'windowsOptions.hostProcess') !== true, 'hostProcess');
    must(dig(context, 'seccompProfile.type') !== 'Unconfined', 'seccompProfile');
    must([undefined, 'Default'].includes(dig(context, 'procMount') as undefined), 'procMount');
  }
  must(containers.length > 0, 'containers');
  for (const container of containers) {
    const own = (field: string) => dig(container, `securityContext.${field}`);
    must(own('allowPrivilegeEscalation') === false, 'allowPrivilegeEscalation');
    must((own('runAsNonRoot') ?? dig(spec, 'securityContext.runAsNonRoot')) === true, 'runAsNonRoot');
    const seccomp = own('seccompProfile.type') ?? dig(spec, 'securityContext.seccompProfile.type');
    must(seccomp === 'RuntimeDefault' || seccomp === 'Localhost', 'seccompProfile');
    must(digList(container, 'securityContext.capabilities.drop').includes('ALL'), 'capabilities.drop');
    must(
      digList(container, 'securityContext.capabilities.add').every((each) => each === 'NET_BIND_SERVICE'),
      'capabilities.add',
    );
    for (const port of digList(container, 'ports')) must(!dig(port, 'hostPort'), 'hostPort');
  }
  return found;
}

/** The pod templates of all objects that make pods. */
export function templatesOf(objects: readonly Manifest[]): { readonly object: Manifest; readonly template: unknown }[] {
  return objects.flatMap((object) => {
    const template = dig(object, object.kind === 'CronJob' ? 'spec.jobTemplate.spec.template' : 'spec.template');
    return template === undefined ? [] : [{ object, template }];
  });
}
