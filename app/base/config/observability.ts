import { Secret } from '../secret.ts';
import { anyText, httpUrl, secretText } from './parse.ts';
import type { Findings, Values } from './setting.ts';
import { setting } from './setting.ts';

/** Where traces go. */
export const observabilityRows = {
  otlpEndpoint: setting({
    names: ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ARCHESTRA_OTEL_EXPORTER_OTLP_ENDPOINT'],
    about: 'OpenTelemetry collector that traces are sent to by HTTP, with or without /v1/traces at its end.',
    unset: 'no traces are sent',
    read: (text, reading) =>
      httpUrl(text, reading)
        .replace(/\/v1\/traces$/, '')
        .replace(/\/+$/, ''),
  }),
  otlpUsername: setting({
    names: ['OTEL_EXPORTER_OTLP_AUTH_USERNAME', 'ARCHESTRA_OTEL_EXPORTER_OTLP_AUTH_USERNAME'],
    about: 'User at the collector. Counts only together with the password.',
    unset: 'none',
    read: anyText,
  }),
  otlpPassword: setting({
    names: ['OTEL_EXPORTER_OTLP_AUTH_PASSWORD', 'ARCHESTRA_OTEL_EXPORTER_OTLP_AUTH_PASSWORD'],
    about: 'Password at the collector. Counts only together with the user.',
    unset: 'none',
    secret: true,
    read: secretText,
  }),
  otlpBearer: setting({
    names: ['OTEL_EXPORTER_OTLP_AUTH_BEARER', 'ARCHESTRA_OTEL_EXPORTER_OTLP_AUTH_BEARER'],
    about: 'Bearer token for the collector. Counts before user and password.',
    unset: 'none',
    secret: true,
    read: secretText,
  }),
};

/** Where traces go, and with which Authorization header. */
export interface TraceCollector {
  readonly tracesUrl: string;
  readonly authorization: Secret | undefined;
}

/** The collector, or undefined: then no traces are sent. */
export function traceCollector(
  values: Values<typeof observabilityRows>,
  findings: Findings,
): TraceCollector | undefined {
  const { otlpEndpoint, otlpUsername: username, otlpPassword: password, otlpBearer: bearer } = values;
  const isHalf = (username === undefined) !== (password === undefined);
  if (isHalf && bearer === undefined)
    findings.warn(
      `OTEL_EXPORTER_OTLP_AUTH_USERNAME and OTEL_EXPORTER_OTLP_AUTH_PASSWORD belong together, and only the ${username === undefined ? 'password' : 'user'} is set: traces are sent without signing in.`,
    );
  if (otlpEndpoint === undefined) {
    if (bearer !== undefined || username !== undefined || password !== undefined)
      findings.info('OTEL_EXPORTER_OTLP_ENDPOINT is not set: no traces are sent.');
    return undefined;
  }
  return { tracesUrl: `${otlpEndpoint}/v1/traces`, authorization: authorizationOf(bearer, username, password) };
}

function authorizationOf(bearer?: Secret, username?: string, password?: Secret): Secret | undefined {
  if (bearer !== undefined) return new Secret(`Bearer ${bearer.reveal()}`);
  if (username === undefined || password === undefined) return undefined;
  return new Secret(`Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`);
}
