import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createEgress, type EgressOptions, NotAsked } from '#base/egress.ts';

let servers: Server[] = [];
afterEach(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  servers = [];
});

/** A server on an address of loopback, with what it was asked. */
async function serve(
  address: string,
  answer: (path: string, respond: import('node:http').ServerResponse) => void,
): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.headers.host} ${request.url}`);
    answer(request.url ?? '', response);
  });
  servers.push(server);
  server.listen(0, address);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, asked }; // a listening TCP server has one
}

const post = { method: 'POST', headers: {}, body: '{}' } as const;

async function refusal(
  address: string,
  options: Partial<EgressOptions> = {},
): Promise<{ why: string; final: boolean }> {
  const egress = createEgress({ allowedRanges: [], ...options });
  const error: unknown = await egress.send(address, post).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof NotAsked)) throw new Error(`it was asked, or failed otherwise: ${error}`);
  return { why: error.message, final: error.final };
}

const refused = (host: string) => ({
  why: `${host} is an address of this network, which is not asked; EGRESS_ALLOWED_RANGES can allow it`,
  final: true,
});

describe('what is refused', () => {
  test.each([
    ['http://127.0.0.1:9/', '127.0.0.1:9'],
    ['https://127.1/', '127.0.0.1'],
    ['https://2130706433/', '127.0.0.1'],
    ['https://0x7f.0.0.1/', '127.0.0.1'],
    ['https://[::1]/', '[::1]'],
    ['https://[::ffff:10.0.0.1]/', '[::ffff:a00:1]'],
    ['https://10.1.2.3/hook?token=very-secret', '10.1.2.3'],
    ['https://192.168.0.1/', '192.168.0.1'],
    ['https://169.254.169.254/latest/meta-data', '169.254.169.254'],
    ['https://[fe80::1]/', '[fe80::1]'],
    ['https://100.100.100.200/', '100.100.100.200'],
    ['https://[fd00:ec2::254]/', '[fd00:ec2::254]'],
    ['https://[64:ff9b::7f00:1]/', '[64:ff9b::7f00:1]'],
    ['https://0.0.0.0/', '0.0.0.0'],
  ])('%s', async (address, host) => {
    expect(await refusal(address)).toEqual(refused(host));
  });

  test('metadata and link-local addresses also where every range is allowed', async () => {
    const everything = { allowedRanges: ['0.0.0.0/0', '::/0'] };
    for (const host of ['169.254.169.254', '168.63.129.16', '[fe80::1]', '[fd00:ec2::254]', '[::ffff:a9fe:a9fe]'])
      expect(await refusal(`https://${host}/`, everything)).toEqual(refused(host));
  });

  test('a name that means only such addresses, and one of a private network that is another one', async () => {
    const resolve = async () => ['10.0.0.1', '127.0.0.1'];
    expect(await refusal('https://inside.test/', { resolve })).toEqual(refused('inside.test'));
    expect(await refusal('https://inside.test/', { resolve, allowedRanges: ['10.0.1.0/24'] })).toEqual(
      refused('inside.test'),
    );
  });

  test('plain HTTP into the internet, other protocols, and credentials in an address', async () => {
    const resolve = async () => ['192.0.43.7'];
    expect(await refusal('http://outside.test/x', { resolve })).toEqual({
      why: 'outside.test is asked over https only',
      final: true,
    });
    const none = { why: 'what is stored is no address that begins with https://', final: true };
    for (const address of ['file:///etc/passwd', 'postgres://user:pw@db/x', 'not an address', ''])
      expect(await refusal(address)).toEqual(none);
    expect(await refusal('https://user:pw@outside.test/', { resolve })).toEqual({
      why: 'the address at outside.test holds a user or a password; these are not sent',
      final: true,
    });
  });
});

describe('where a connection goes', () => {
  test('a name that means something else a moment later is asked where it was judged', async () => {
    const server = await serve('127.0.0.2', (_, response) => response.end('judged'));
    const answers = [['127.0.0.2'], ['127.0.0.3']];
    let looked = 0;
    const resolve = async () => answers[looked++] ?? [];
    const egress = createEgress({ allowedRanges: ['127.0.0.2/32'], resolve });
    const address = `http://rebound.test:${server.port}/a?b=c`;
    expect(await egress.send(address, post)).toEqual({ status: 200, text: 'judged', retryAfterMs: undefined });
    expect(looked).toBe(1);
    expect(server.asked).toEqual([`rebound.test:${server.port} /a?b=c`]);
    await expect(egress.send(address, post)).rejects.toThrow(refused(`rebound.test:${server.port}`).why);
    expect(server.asked).toHaveLength(1);
  });

  test('of several addresses only the allowed ones are tried', async () => {
    const forbidden = await serve('127.0.0.3', (_, response) => response.end('forbidden'));
    const resolve = async () => ['127.0.0.3', '127.0.0.2'];
    const egress = createEgress({ allowedRanges: ['127.0.0.2/32'], resolve });
    await expect(egress.send(`http://both.test:${forbidden.port}/`, post)).rejects.toThrow('ECONNREFUSED');
    expect(forbidden.asked).toEqual([]);
  });

  test('a redirection is an answer like any other', async () => {
    const inner = await serve('127.0.0.3', (_, response) => response.end('inner'));
    const outer = await serve('127.0.0.2', (_, response) =>
      response.writeHead(307, { location: `http://127.0.0.3:${inner.port}/` }).end(),
    );
    const egress = createEgress({ allowedRanges: ['127.0.0.0/8'] });
    expect((await egress.send(`http://127.0.0.2:${outer.port}/`, post)).status).toBe(307);
    expect(inner.asked).toEqual([]);
  });
});

describe('bounds', () => {
  const allowedRanges = ['127.0.0.1/32'];

  test('an answer without end is cut, and its connection ended', async () => {
    let ended = false;
    const { port } = await serve('127.0.0.1', (_, response) => {
      const write = () => {
        while (!response.destroyed && response.write('x'.repeat(16_384)));
      };
      response.on('drain', write).on('close', () => {
        ended = true;
      });
      write();
    });
    const answer = await createEgress({ allowedRanges }).send(`http://127.0.0.1:${port}/`, post);
    expect(answer.text).toBe('x'.repeat(2048));
    await expect.poll(() => ended).toBe(true);
  });

  test('a server that does not answer, and one that does not end, are left', async () => {
    const { port } = await serve('127.0.0.1', (path, response) => {
      if (path === '/slow') response.write('a');
    });
    const egress = createEgress({ allowedRanges, timeoutMs: 200 });
    for (const path of ['/', '/slow'])
      await expect(egress.send(`http://127.0.0.1:${port}${path}?token=very-secret`, post)).rejects.toMatchObject({
        message: `127.0.0.1:${port} cannot be reached: it did not answer within 0.2 s`,
        final: false,
      });
  });

  test('who stops is told so by their own reason', async () => {
    const { port } = await serve('127.0.0.1', () => {});
    const stopping = new AbortController();
    const sending = createEgress({ allowedRanges }).send(`http://127.0.0.1:${port}/`, {
      ...post,
      signal: stopping.signal,
    });
    stopping.abort(new Error('stopping'));
    await expect(sending).rejects.toThrow('stopping');
  });

  test('Retry-After in seconds is told', async () => {
    const { port } = await serve('127.0.0.1', (_, response) =>
      response.writeHead(429, { 'retry-after': '7' }).end('no'),
    );
    expect(await createEgress({ allowedRanges }).send(`http://127.0.0.1:${port}/`, post)).toEqual({
      status: 429,
      text: 'no',
      retryAfterMs: 7000,
    });
  });
});
