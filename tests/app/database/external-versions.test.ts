import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { serverUser } from '#database/embedded.ts';
import { createListener } from '#database/listen.ts';
import { migrate } from '#database/migrate.ts';
import { silent } from '#support/git.ts';
import { describeUnless } from '#support/missing.ts';
import { createTestAuth } from '#support/people.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { connect, faultOf, open } from './handed-out.ts';

/** Where Debian and its kin keep the servers that are installed: a folder for each version. */
const installed = '/usr/lib/postgresql';
const versions = existsSync(installed)
  ? readdirSync(installed).filter((version) => existsSync(join(installed, version, 'bin/initdb')))
  : [];
const reason = versions.length > 0 ? undefined : `no PostgreSQL of the system is in ${installed}; install one`;

/** A server of the system, on a free port of loopback, with TLS of its own; its superuser is `admin`. */
async function startServer(version: string): Promise<number> {
  const { path, remove } = temporaryDirectory('plinth-server');
  const user = await serverUser();
  const program = (name: string) => join(installed, version, 'bin', name);
  const as = { uid: user?.uid, gid: user?.gid, cwd: path, env: { PATH: '/usr/bin:/bin' } };
  const home = join(path, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'password'), 'password');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const files = ['-keyout', join(home, 'tls.key'), '-out', join(home, 'tls.pem')];
  execFileSync('openssl', ['req', '-x509', ...key, '-subj', '/CN=localhost', ...files], { stdio: 'ignore' });
  chmodSync(join(home, 'tls.key'), 0o600);
  if (user !== undefined)
    for (const name of ['', 'password', 'tls.key', 'tls.pem']) chownSync(join(home, name), user.uid, user.gid);
  const data = join(home, 'data');
  const access = ['--auth=scram-sha-256', '--username=admin', `--pwfile=${join(home, 'password')}`];
  execFileSync(program('initdb'), ['-D', data, ...access, '--encoding=UTF8', '--locale=C'], { ...as, stdio: 'ignore' });
  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
    fsync: 'off',
    ssl: 'on',
    ssl_cert_file: join(home, 'tls.pem'),
    ssl_key_file: join(home, 'tls.key'),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(program('postgres'), ['-D', data, ...flags], { ...as, stdio: 'ignore' });
  onTestFinished(async () => {
    child.kill('SIGINT');
    if (child.exitCode === null) await once(child, 'exit');
    remove();
  });
  return port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  server.close();
  await once(server, 'close');
  return port;
}

describeUnless(reason, 'a server of the system', () => {
  test.each(versions.filter((version) => Number(version) >= 15))('PostgreSQL %s is worked with', async (version) => {
    const port = await startServer(version);
    // It begins to listen while we already ask.
    const url = new Secret(`postgresql://admin:password@127.0.0.1:${port}/postgres`);
    const connection = await connect(url);
    expect(connection.tls).toEqual({ verify: 'none' });
    const database = open(connection);
    const { rows } = await database.query<{ version: string }>("select current_setting('server_version') as version");
    expect(rows[0]?.version.startsWith(`${version}.`)).toBe(true);
    expect((await migrate({ database, log: silent })).length).toBeGreaterThan(3);
    await createTestAuth(database);
    let gaps = 0;
    const onGap = () => {
      gaps += 1;
    };
    const asked = { connection, channels: ['changes'], log: silent, clock: systemClock, onGap, onNotice: () => {} };
    const listener = createListener(asked);
    onTestFinished(() => listener.stop());
    await expect.poll(() => gaps, { interval: 5, timeout: 10_000 }).toBe(1);
  });

  test.each(versions.filter((version) => Number(version) < 15))('PostgreSQL %s is refused', async (version) => {
    const port = await startServer(version);
    const fault = await faultOf(connect(new Secret(`postgresql://admin:password@127.0.0.1:${port}/postgres`)));
    expect(fault.data.fix).toBe('Upgrade the server to 15 or newer.');
  });
});
