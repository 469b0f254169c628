import type { Secret } from '../secret.ts';
import { anyText, httpUrl, image, kubernetesName, oneOf, secretText, secretWithPrefix } from './parse.ts';
import type { Findings, Values } from './setting.ts';
import { setting } from './setting.ts';

/** Where MCP servers run. */
export const mcpRows = {
  mcpNamespace: setting({
    names: ['ORCHESTRATOR_K8S_NAMESPACE', 'ARCHESTRA_ORCHESTRATOR_K8S_NAMESPACE'],
    about: 'Namespace in which MCP servers run.',
    standard: 'default',
    activeIn: 'MCP servers',
    read: kubernetesName,
  }),
  mcpBaseImage: setting({
    names: ['ORCHESTRATOR_MCP_SERVER_BASE_IMAGE', 'ARCHESTRA_ORCHESTRATOR_MCP_SERVER_BASE_IMAGE'],
    about: 'Image of MCP servers that name none.',
    unset: 'comes with the feature',
    activeIn: 'MCP servers',
    read: image,
  }),
};

/** A bucket, for backups of Plinth itself. */
export const storageRows = {
  s3Bucket: setting({
    names: ['S3_BUCKET_NAME'],
    about: 'Bucket for backups.',
    unset: 'no bucket',
    activeIn: 'backup',
    read: anyText,
  }),
  s3Endpoint: setting({
    names: ['S3_ENDPOINT_URL'],
    about: 'Address of a server that speaks S3.',
    unset: 'AWS',
    activeIn: 'backup',
    read: httpUrl,
  }),
  s3Region: setting({
    names: ['S3_REGION'],
    about: 'Region of the bucket.',
    standard: 'us-east-1',
    activeIn: 'backup',
    read: anyText,
  }),
  s3AccessKeyId: setting({
    names: ['S3_ACCESS_KEY_ID'],
    about: 'Access key of the bucket.',
    unset: "the machine's own identity",
    secret: true,
    activeIn: 'backup',
    read: secretText,
  }),
  s3SecretAccessKey: setting({
    names: ['S3_SECRET_ACCESS_KEY'],
    about: 'Secret of S3_ACCESS_KEY_ID.',
    unset: "the machine's own identity",
    secret: true,
    activeIn: 'backup',
    read: secretText,
  }),
};

/** Payments by Stripe. */
export const billingRows = {
  stripeSecretKey: setting({
    names: ['STRIPE_SECRET_KEY'],
    about: 'Secret key of Stripe (sk_test_…, sk_live_…).',
    unset: 'no billing',
    secret: true,
    activeIn: 'billing',
    read: secretWithPrefix('sk_', 'rk_'),
  }),
  stripePublishableKey: setting({
    names: ['STRIPE_PUBLISHABLE_KEY'],
    about: 'Publishable key of Stripe (pk_test_…, pk_live_…).',
    unset: 'no billing',
    activeIn: 'billing',
    read: (text) => {
      if (!text.startsWith('pk_')) throw new Error('a text that begins with pk_');
      return text;
    },
  }),
  stripeWebhookSecret: setting({
    names: ['STRIPE_WEBHOOK_SECRET'],
    about: "Secret that Stripe's events are signed with (whsec_…).",
    unset: 'no billing',
    secret: true,
    activeIn: 'billing',
    read: secretWithPrefix('whsec_'),
  }),
};

/** Use of the console, told to a PostHog of the operator's choice. */
export const analyticsRows = {
  analyticsAllowed: setting({
    names: ['ANALYTICS', 'ARCHESTRA_ANALYTICS'],
    about: 'disabled: no analytics, whatever else is set.',
    standard: 'enabled',
    activeIn: 'console',
    read: oneOf<boolean>({ enabled: true, disabled: false }),
  }),
  posthogKey: setting({
    names: ['VITE_PUBLIC_POSTHOG_KEY'],
    about: 'Project key of PostHog. Only with it there are analytics at all.',
    unset: 'no analytics',
    activeIn: 'console',
    read: anyText,
  }),
  posthogHost: setting({
    names: ['VITE_PUBLIC_POSTHOG_HOST'],
    about: 'Address of PostHog.',
    standard: 'https://us.i.posthog.com',
    activeIn: 'console',
    read: httpUrl,
  }),
};

/** Where the console reports its use. */
export interface Analytics {
  readonly key: string;
  readonly host: string;
}

/** Undefined unless the operator set a key and did not disable analytics. */
export function analyticsOf(values: Values<typeof analyticsRows>): Analytics | undefined {
  const { analyticsAllowed, posthogKey: key, posthogHost: host } = values;
  return analyticsAllowed && key !== undefined ? { key, host } : undefined;
}

/** Pairs that belong together. */
export function checkExtras(values: Values<typeof storageRows> & Values<typeof billingRows>, findings: Findings): void {
  if ((values.s3AccessKeyId === undefined) !== (values.s3SecretAccessKey === undefined))
    findings.fault(
      ['s3AccessKeyId', 's3SecretAccessKey'],
      `S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY belong together; S3_${values.s3AccessKeyId === undefined ? 'ACCESS_KEY_ID' : 'SECRET_ACCESS_KEY'} is not set`,
    );
  const isLive = (key: string | undefined) => (key === undefined ? undefined : /^\wk_live_/.test(key));
  const [secret, publishable] = [isLive(textOf(values.stripeSecretKey)), isLive(values.stripePublishableKey)];
  if (secret !== undefined && publishable !== undefined && secret !== publishable)
    findings.fault(
      ['stripeSecretKey', 'stripePublishableKey'],
      'STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY are of different modes; both must be test keys, or both live ones',
    );
}

const textOf = (secret: Secret | undefined) => secret?.reveal();
