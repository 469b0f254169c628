import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createOutbound, reasonOf } from '#auth/identity/outbound.ts';

async function serve(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const why = (asked: Promise<unknown>) => asked.then(String, reasonOf);

test('an answer comes with status, headers and body', async () => {
  const url = await serve((request, response) => {
    response.writeHead(203, { 'Content-Type': 'application/json', 'X-Method': request.method });
    request.pipe(response);
  });
  const reply = await createOutbound({ named: url, allowHttp: true })(`${url}/x`, { method: 'POST', body: '{"a":1}' });
  expect([reply.status, reply.headers.get('x-method'), await reply.json()]).toEqual([203, 'POST', { a: 1 }]);
});

test('a redirection is not followed', async () => {
  const url = await serve((_, response) => void response.writeHead(302, { Location: 'http://169.254.169.254/' }).end());
  expect((await createOutbound({ named: url, allowHttp: true })(url)).status).toBe(302);
});

test('an answer that does not end is cut', async () => {
  const url = await serve((_, response) => {
    const more = () => response.write(Buffer.alloc(65_536)) && setImmediate(more);
    response.on('drain', more);
    more();
  });
  expect(await why(createOutbound({ named: url, allowHttp: true })(url))).toBe(
    'its answer is larger than 1048576 bytes',
  );
});

test('plain HTTP is for development', async () => {
  const url = await serve((_, response) => void response.end());
  expect(await why(createOutbound({ named: url, allowHttp: false })(url))).toBe(`${url} is not https`);
});

describe('a document from the internet leads to no address of our own network', () => {
  const outbound = createOutbound({ named: 'https://192.0.43.7', allowHttp: true });
  test.each([
    'http://127.0.0.1:1/',
    'http://[::1]:1/',
    'http://10.0.0.1/',
    'http://192.168.1.1/',
    'http://[fd00::1]/',
    'http://169.254.169.254/latest/meta-data',
    'http://[::ffff:127.0.0.1]:1/',
    'http://0.0.0.0/',
    'http://2130706433/',
    'http://localhost:1/',
    'http://[64:ff9b::a00:1]/',
    'http://[2002:a9fe:a9fe::1]/',
  ])('%s', async (url) => {
    expect(await why(outbound(url))).toMatch(/may be asked/);
  });

  test('what the administrator named there may be asked, the cloud’s metadata never', async () => {
    const url = await serve((_, response) => void response.end('ok'));
    const own = createOutbound({ named: 'http://10.1.2.3', allowHttp: true });
    expect(await (await own(url)).text()).toBe('ok');
    for (const metadata of ['169.254.169.254', '100.100.100.200', '[fd00:ec2::254]', '[64:ff9b::a9fe:a9fe]'])
      expect(await why(own(`http://${metadata}/`)), metadata).toMatch(/may be asked/);
  });
});
