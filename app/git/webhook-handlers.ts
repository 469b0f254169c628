import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Secret } from '#base/secret.ts';
import { type HostKind, hostKinds } from './hosts/host.ts';
import { readWebhook, type Webhook } from './webhook.ts';

export interface WebhookHandlersOptions {
  /** STATE_REPOSITORY_WEBHOOK_SECRET; absent: no webhooks are taken. */
  readonly secret: Secret | undefined;
  /** What kind of host the state repository lies at; `plain` and absent: not known, and every kind is heard. */
  readonly provider?: HostKind | 'plain' | undefined;
  /** Git, or its pull requests, may have changed. Must return at once; called twice it must cost no more than once. */
  wake(webhook: Webhook): void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'webhooks'>;
}

/** As http hands over a request; this room does not know the contract. */
interface Input {
  readonly params: { readonly provider: string };
  readonly body: Buffer;
  readonly request: { header(name: string): string | undefined };
}

const headers = [
  ...['content-type', 'x-github-event', 'x-hub-signature-256', 'x-gitea-event', 'x-gitea-signature'],
  ...['x-gitlab-event', 'x-gitlab-token', 'webhook-id', 'webhook-timestamp', 'webhook-signature'],
  ...['x-event-key', 'x-hub-signature'],
];

/**
 * Takes webhooks: what is signed wakes, and is answered at once. Nothing of what it says is trusted or kept; a thousand
 * of the same cost no more than their signatures.
 */
export function createWebhookHandlers(options: WebhookHandlersOptions) {
  const { secret, wake, clock, log, metrics } = options;
  const known = hostKinds.filter(
    (kind) => options.provider === undefined || ['plain', kind].includes(options.provider),
  );
  const take = ({ params: { provider }, body, request }: Input): Webhook => {
    const kind = known.find((each) => each === provider);
    if (kind === undefined) throw new Fault('WEBHOOK_PROVIDER_UNKNOWN', { provider: provider.slice(0, 40), known });
    if (secret === undefined) throw new Fault('WEBHOOKS_OFF');
    const given = Object.fromEntries(headers.map((name) => [name, request.header(name)]));
    return counted(kind, () => readWebhook({ provider: kind, headers: given, body, secret, now: clock.now() }));
  };
  const counted = (provider: HostKind, read: () => Webhook): Webhook => {
    try {
      const webhook = read();
      metrics.webhooks.inc({ provider, outcome: webhook.kind });
      return webhook;
    } catch (error) {
      metrics.webhooks.inc({ provider, outcome: Fault.is(error, 'WEBHOOK_REFUSED') ? 'refused' : 'malformed' });
      throw error;
    }
  };
  return {
    receiveGitWebhook: async (input: Input): Promise<Readonly<Record<never, never>>> => {
      const webhook = take(input);
      log.debug({ webhook }, 'a webhook came');
      if (webhook.kind === 'push' || webhook.kind === 'pull-request') wake(webhook);
      return {};
    },
  };
}
