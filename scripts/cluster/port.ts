import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';

/** The port of the last start where it is free, so that clients find the cluster again; else a new one, remembered. */
export async function choosePort(file: string): Promise<number> {
  if (existsSync(file)) {
    const port = Number(readFileSync(file, 'utf8'));
    if (await isFree(port)) return port;
  }
  for (;;) {
    // Below the range that outgoing connections take theirs from, so that a restart finds it free.
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (!(await isFree(port))) continue;
    writeFileSync(file, String(port));
    return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = once(server, 'listening').then(
    () => true,
    () => false,
  );
  server.listen(port, '127.0.0.1');
  if (!(await listening)) return false;
  const { port: bound } = server.address() as AddressInfo; // a TCP server's address is never a path
  server.close();
  await once(server, 'close');
  return bound === port;
}
