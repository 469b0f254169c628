import { z } from 'zod';

const dnsName = z
  .string()
  .regex(/^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'the name of an object');
const annotations = z.record(z.string().max(317), z.string().max(65_536));

const object = z.looseObject({
  apiVersion: z.string().max(253).describe('Group and version, as environment.yaml lists it in kinds.'),
  kind: z.string().max(63).describe('Its kind.'),
  metadata: z
    .strictObject({
      name: dnsName.describe('Its name.'),
      labels: z.record(z.string(), z.string()).default({}).describe('Labels beside those of every object.'),
      annotations: annotations.default({}).describe('Annotations.'),
    })
    .describe('Name, labels and annotations; the namespace is the project’s own.'),
});

/** Objects of other operators' kinds, as they are, in the namespace of the project. */
export const objects = z
  .array(object)
  .max(50)
  .default([])
  .describe('Objects of kinds that environment.yaml lists in kinds, such as a Certificate: as Kubernetes writes them.');

export type CustomObject = Readonly<z.output<typeof object>>;
