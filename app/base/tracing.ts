import type { Context, Span as OtelSpan } from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Secret } from './secret.ts';

export interface TracingOptions {
  /** Where a collector takes OTLP over HTTP: `https://collector.example.com/v1/traces`. */
  readonly tracesUrl: string;
  /** The header Authorization, as it is sent. */
  readonly authorization?: Secret | undefined;
  /** Of the control plane, shown as `service.version`. */
  readonly version: string;
  readonly log: Log;
  readonly clock: Clock;
  /** A span waits so long for others to travel with. Default 5 s. */
  readonly batchMs?: number;
}

/** What a span may say of itself. Never a header, a body or a query: these hold what nobody may read in a trace. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A piece of work with a beginning and an end. */
export interface Span {
  /** W3C `traceparent`, for a request that is sent as part of this work. */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  /** A piece of this piece, such as one call of a provider. */
  child(name: string, attributes?: Attributes): Span;
  /** Ends it, once. */
  end(outcome?: 'ok' | 'failed'): void;
}

/** What is known of a request when it begins. */
export interface RequestBegin {
  readonly id: string;
  readonly method: string;
  /** The header `traceparent` as it came; one that is not well-formed is passed over. */
  readonly traceparent: string | undefined;
}

/** What is known at its end. */
export interface RequestEnd {
  readonly route: string;
  readonly status: number;
  /** false: the caller went away before the last byte. */
  readonly complete: boolean;
}

export interface RequestSpan extends Span {
  /** Ends the span with what came of the request. */
  answered(end: RequestEnd): void;
}

/** Begins the span of a request: what `http/context.ts` is handed. Absent where tracing is off, so that it costs nothing. */
export type TraceRequest = (begin: RequestBegin) => RequestSpan;

/** What is known of a walk when it begins. */
export interface WalkBegin {
  readonly name: string;
  readonly attributes: Attributes;
  readonly startedAt: Date;
  /** W3C `traceparent` of what asked for it; one that is not well-formed is passed over. */
  readonly parent: string | undefined;
}

/** Begins the span of a walk; rooms use it by `beginWalk`. Absent where tracing is off. */
export type TraceWalk = (begin: WalkBegin) => Span;

export interface Tracing {
  readonly trace: TraceRequest;
  readonly traceWalk: TraceWalk;
  /** Sends what is left and ends; a collector that is away holds it up for 5 s at the most. */
  stop(): Promise<void>;
}

const exportMs = 5_000;
const quietMs = 60_000;

/**
 * Starts to send traces; whoever has no endpoint never calls it, and the libraries are never loaded. Spans travel in
 * batches. A collector that is away costs spans and one line a minute in the log, never a request.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const api = await import('@opentelemetry/api');
  const { AlwaysOnSampler, BasicTracerProvider, BatchSpanProcessor, ParentBasedSampler } = await import(
    '@opentelemetry/sdk-trace-base'
  );
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');

  const { tracesUrl: url, authorization } = options;
  const headers: Record<string, string> = authorization === undefined ? {} : { Authorization: authorization.reveal() };
  const exporter = new OTLPTraceExporter({ url, headers, timeoutMillis: exportMs, concurrencyLimit: 4 });
  const processor = new BatchSpanProcessor(reporting(exporter, options), {
    scheduledDelayMillis: options.batchMs ?? 5_000,
    exportTimeoutMillis: 2 * exportMs,
  });
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'plinth', 'service.version': options.version }),
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('plinth', options.version);

  const wrap = (span: OtelSpan, around: Context, kind = api.SpanKind.CLIENT): Span => {
    const inside = api.trace.setSpan(around, span);
    const { traceId, spanId, traceFlags } = span.spanContext();
    return {
      traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
      set: (attributes) => {
        span.setAttributes({ ...attributes });
      },
      child: (name, attributes = {}) =>
        wrap(tracer.startSpan(name, { attributes: { ...attributes }, kind }, inside), inside, kind),
      end: (outcome = 'ok') => {
        if (outcome === 'failed') span.setStatus({ code: api.SpanStatusCode.ERROR });
        span.end();
      },
    };
  };

  const contextOf = (traceparent: string | undefined): Context => {
    const parent = readTraceparent(traceparent);
    if (parent === undefined) return api.ROOT_CONTEXT;
    return api.trace.setSpanContext(api.ROOT_CONTEXT, { ...parent, isRemote: true });
  };

  const traceWalk: TraceWalk = ({ name, attributes, startedAt, parent }) => {
    const around = contextOf(parent);
    const options = { kind: api.SpanKind.INTERNAL, attributes: { ...attributes }, startTime: startedAt };
    return wrap(tracer.startSpan(name, options, around), around, api.SpanKind.INTERNAL);
  };

  const trace: TraceRequest = ({ id, method, traceparent }) => {
    const around = contextOf(traceparent);
    const verb = methods.has(method) ? method : '_OTHER';
    const attributes = { 'http.request.method': verb, 'plinth.request.id': id };
    const otel = tracer.startSpan(verb, { kind: api.SpanKind.SERVER, attributes }, around);
    const span = wrap(otel, around);
    const answered = ({ route, status, complete }: RequestEnd) => {
      otel.updateName(`${verb} ${route}`);
      span.set({ 'http.route': route, 'http.response.status_code': status });
      if (!complete) span.set({ 'plinth.request.aborted': true });
      span.end(status >= 500 ? 'failed' : 'ok');
    };
    return { ...span, answered };
  };

  return { trace, traceWalk, stop: () => drain(provider, options.clock) };
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** The exporter, with one line a minute about what it could not send. */
function reporting(exporter: SpanExporter, { tracesUrl, log, clock }: TracingOptions): SpanExporter {
  let quietUntilMs = Number.NEGATIVE_INFINITY;
  let lost = 0;
  const report = (error: Error | undefined, spans: number) => {
    lost += spans;
    if (clock.monotonicMs() < quietUntilMs) return;
    quietUntilMs = clock.monotonicMs() + quietMs;
    // What a collector answers is not repeated; its address is, less what may be a key in it.
    const { origin, pathname } = new URL(tracesUrl);
    log.warn({ collector: origin + pathname, reason: reasonOf(error), spans: lost }, 'traces could not be sent');
    lost = 0;
  };
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        // 0 is success.
        if (result.code !== 0) report(result.error, spans.length);
        done(result);
      }),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}

function reasonOf(error: Error | undefined): string {
  if (error === undefined) return 'unknown';
  const code: unknown = (error as { code?: unknown }).code; // a status of HTTP, or the name of a system's error
  return [code, error.message].filter((part) => part !== undefined && part !== '').join(' ');
}

/** @see https://www.w3.org/TR/trace-context/ */
function readTraceparent(text: string | undefined) {
  const [, version, traceId, spanId, flags, rest] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1 };
}

async function drain(provider: { shutdown(): Promise<void> }, clock: Clock): Promise<void> {
  const enough = new AbortController();
  const late = clock.sleep(exportMs, enough.signal).catch(() => {});
  // What could not be sent was reported where it failed.
  await Promise.race([provider.shutdown().catch(() => {}), late]);
  enough.abort();
}
