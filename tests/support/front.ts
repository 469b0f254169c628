import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What answers for a host: another server's port, or a page. */
export type Behind = number | ((request: IncomingMessage, response: ServerResponse) => void);

/** The one door of a domain, as an ingress is: it ends TLS and passes requests on by their host. */
export interface Front {
  readonly port: number;
  /** `https://plinth.example.test:1234`. */
  origin(hostname: string): string;
  /** From now on requests for this host are answered so. */
  serve(hostname: string, behind: Behind): void;
  /** What came so far: `POST plinth.example.test/sign-out`. */
  readonly seen: readonly string[];
  close(): Promise<void>;
}

/** Why there can be no front with TLS here. */
export function missingTls(): string | undefined {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs openssl, which makes the certificate';
  }
}

/** Starts on a free port of loopback. With `tls` its certificate is self-signed: browsers must be told to take it. */
export async function startFront({ tls }: { readonly tls: boolean }): Promise<Front> {
  const hosts = new Map<string, Behind>();
  const seen: string[] = [];
  const answer = (incoming: IncomingMessage, response: ServerResponse) => {
    const hostname = (incoming.headers.host ?? '').replace(/:\d+$/, '');
    seen.push(`${incoming.method} ${hostname}${incoming.url}`);
    const behind = hosts.get(hostname);
    if (behind === undefined) response.writeHead(502).end(`nothing is behind ${hostname}`);
    else if (typeof behind === 'number') passOn(incoming, response, behind, tls);
    else behind(incoming, response);
  };
  const server: Server = tls ? createSecureServer(makeCertificate(), answer) : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // it listens on a port
  return {
    port,
    seen,
    origin: (hostname) => `${tls ? 'https' : 'http'}://${hostname}:${port}`,
    serve: (hostname, behind) => void hosts.set(hostname, behind),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function passOn(incoming: IncomingMessage, response: ServerResponse, port: number, tls: boolean): void {
  const headers = {
    ...incoming.headers,
    'x-forwarded-for': incoming.socket.remoteAddress,
    'x-forwarded-proto': tls ? 'https' : 'http',
  };
  const outgoing = request(
    { host: '127.0.0.1', port, method: incoming.method, path: incoming.url, headers },
    (answered) => {
      response.writeHead(answered.statusCode ?? 502, answered.rawHeaders);
      answered.pipe(response);
    },
  );
  outgoing.on('error', () => response.destroy());
  response.on('close', () => outgoing.destroy());
  incoming.pipe(outgoing);
}

function makeCertificate(): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'plinth-front-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  try {
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const args = ['req', '-x509', ...curve, '-subj', '/CN=example.test', '-keyout', key, '-out', cert];
    execFileSync('openssl', args, { stdio: 'ignore' });
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
