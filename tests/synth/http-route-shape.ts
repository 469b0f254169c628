import { z } from 'zod';

/**
 * HTTPRoute of gateway.networking.k8s.io/v1 by its published CRD, as far as synthesis writes it, and strict: the test
 * cluster has no Gateway API, so nothing else would see a misspelt field.
 */
const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
  .max(63);
const duration = z.string().regex(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/);

export const httpRouteShape = z.strictObject({
  apiVersion: z.literal('gateway.networking.k8s.io/v1'),
  kind: z.literal('HTTPRoute'),
  metadata: z.strictObject({
    name: z.string(),
    namespace: name,
    labels: z.record(z.string(), z.string()),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  spec: z.strictObject({
    parentRefs: z
      .array(z.strictObject({ name, namespace: name, sectionName: z.string().max(253).optional() }))
      .min(1)
      .max(32),
    hostnames: z
      .array(
        z
          .string()
          .regex(/^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
          .max(253),
      )
      .max(16),
    rules: z
      .array(
        z.strictObject({
          matches: z
            .array(
              z.strictObject({
                path: z.strictObject({
                  type: z.enum(['Exact', 'PathPrefix']),
                  value: z.string().startsWith('/').max(1024),
                }),
              }),
            )
            .max(64),
          timeouts: z.strictObject({ request: duration, backendRequest: duration }),
          backendRefs: z.array(z.strictObject({ name, port: z.int().min(1).max(65_535) })).max(16),
        }),
      )
      .max(16),
  }),
});
