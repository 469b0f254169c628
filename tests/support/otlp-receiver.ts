import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** A span as it came over the wire (OTLP/HTTP with JSON), its attributes as a plain map. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** 2 server, 3 client. */
  readonly kind: number;
  /** 2: failed. */
  readonly status: number;
  readonly ms: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface OtlpReceiver {
  readonly url: string;
  /** Every request, whatever its address and answer. */
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: string }[];
  /** Of the process that sent them. */
  resource(): Readonly<Record<string, unknown>>;
  spans(): readonly ReceivedSpan[];
  /** Waits until so many spans are here. */
  until(count: number): Promise<readonly ReceivedSpan[]>;
  /** Answers everything with this status from now on. */
  answer(status: number): void;
  close(): Promise<void>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** A collector of traces: a server that takes what an exporter sends and lets a test read it. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const requests: { path: string; headers: IncomingHttpHeaders; body: string }[] = [];
  const taken: string[] = [];
  let status = 200;
  const server = createServer(async (request, response) => {
    const body = await text(request);
    requests.push({ path: request.url ?? '', headers: request.headers, body });
    if (status === 200) taken.push(body);
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  const resources = () => taken.flatMap((body) => JSON.parse(body).resourceSpans);
  const spans = () =>
    resources()
      .flatMap(({ scopeSpans }) => scopeSpans)
      .flatMap((scope) => scope.spans)
      .map(readSpan);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    resource: () => readAttributes(resources()[0].resource.attributes),
    spans,
    until: async (count) => {
      for (const end = Date.now() + 15_000; spans().length < count; await sleep(10))
        if (Date.now() > end) throw new Error(`only ${spans().length} of ${count} spans came`);
      return spans();
    },
    answer: (next) => {
      status = next;
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: it came over the wire
function readSpan(span: any): ReceivedSpan {
  const { traceId, spanId, parentSpanId = '', name, kind } = span;
  const ms = Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6;
  const attributes = readAttributes(span.attributes);
  return { traceId, spanId, parentSpanId, name, kind, status: span.status?.code ?? 0, ms, attributes };
}

const readAttributes = (attributes: readonly Attribute[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
