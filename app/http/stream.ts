import type { ServerResponse } from 'node:http';
import type { Stream } from '#contract/route.ts';

/** Resolves when the reader has taken what was written, or is gone. */
export function flushed(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

/** Sends a stream as fast as the reader takes it; ends the source when the reader leaves. */
export async function sendStream(response: ServerResponse, stream: Stream | string): Promise<void> {
  if (typeof stream === 'string') {
    response.end(stream);
    return;
  }
  // A source may be silent for long; the reader should know at once that it is there.
  response.flushHeaders();
  for await (const chunk of stream) {
    if (!response.write(chunk)) await flushed(response);
    if (response.destroyed) return;
  }
  response.end();
}
