import { Pool } from 'undici';
import type { Identity } from './certificates.ts';

/** An answer of the API server. `body` is the parsed JSON, or the text where it is none (logs, /readyz). */
export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is the API server's; each caller knows what it asked for
  readonly body: any;
}

/**
 * One request to the API server over a kept connection. `body` is sent as it is when it is text, else as JSON; `type`
 * is its media type (`application/apply-patch+yaml` for server-side apply). An HTTP error is an answer, not a throw.
 */
export type Api = (method: string, path: string, body?: unknown, type?: string) => Promise<Answer>;

/** A plain client that presents `identity`; `close` ends its connections without waiting for answers. */
export function createClient(url: string, identity: Identity): { api: Api; close(): Promise<void> } {
  const { ca, cert, key } = identity;
  const pool = new Pool(url, { connections: 32, connect: { ca, cert, key } });
  const api: Api = async (method, path, body, type = 'application/json') => {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const response = await pool.request({
      method: method as 'GET', // undici's list of methods is open, its type is not
      path,
      ...(text === undefined ? {} : { body: text, headers: { 'content-type': type } }),
    });
    const answer = await response.body.text();
    return { status: response.statusCode, body: parsed(answer) };
  };
  return { api, close: () => pool.destroy() };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
