import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { Fault } from '#base/errors.ts';
import { createListener } from '#database/listen.ts';
import { silent } from '#support/git.ts';
import { describeUnless } from '#support/missing.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { connect, faultOf, handOut, open, urlOf } from './handed-out.ts';

const db = useDatabase();
const folder = useTemporaryDirectory('plinth-external');
const { handedOut, openPort } = handOut(db);

const noOpenssl = () => {
  try {
    execFileSync('openssl', ['version']);
    return undefined;
  } catch {
    return 'openssl makes the certificates of these tests; install it';
  }
};

describeUnless(noOpenssl(), 'TLS', () => {
  const file = (name: string) => join(folder, 'tls', name);
  const read = (name: string) => readFileSync(file(name), 'utf8');
  let name = '';
  beforeAll(() => {
    mkdirSync(join(folder, 'tls'), { recursive: true });
    const openssl = (...args: string[]) =>
      execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: file('') });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    for (const ca of ['ca', 'other-ca'])
      openssl('req', '-x509', ...key, '-subj', `/CN=${ca}`, '-keyout', `${ca}.key`, '-out', `${ca}.pem`);
    const host = ['-addext', 'subjectAltName=DNS:database.example.com'];
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key'];
    openssl(
      'req',
      '-x509',
      ...key,
      ...by,
      '-subj',
      '/CN=database',
      ...host,
      '-keyout',
      'server.key',
      '-out',
      'server.pem',
    );
  });

  const server = async () => await openPort({ cert: read('server.pem'), key: read('server.key') });

  test('is used where the server has it, and not where it has none, unless it is asked for', async () => {
    name = await handedOut();
    const [secure, plain] = [await server(), await openPort()];
    expect((await connect(urlOf(name, secure.port))).tls).toEqual({ verify: 'none' });
    expect(secure.counts.tls).toBe(1);
    expect((await connect(urlOf(name, plain.port))).tls).toBe(undefined);
    expect((await connect(urlOf(name, secure.port, '?sslmode=disable'))).tls).toBe(undefined);
    expect(secure.counts).toEqual({ all: 2, tls: 1 });
    const fault = await faultOf(connect(urlOf(name, plain.port, '?sslmode=require')));
    expect(fault.message).toBe(
      `The database ${name} at 127.0.0.1, port ${plain.port}, cannot be used: The server does not support SSL connections. Turn ssl on at the server, or say sslmode=disable where the way is safe.`,
    );
  });

  test('pool and listener use it too, and a cut connection is made anew', async () => {
    name = await handedOut();
    const secure = await server();
    const connection = await connect(urlOf(name, secure.port, '?sslmode=require'));
    const database = open(connection);
    const gaps: number[] = [];
    const listener = createListener({
      connection,
      channels: ['changes'],
      log: silent,
      clock: systemClock,
      onNotice: () => {},
      onGap: () => gaps.push(1),
    });
    onTestFinished(() => listener.stop());
    await database.query('select');
    await expect.poll(() => gaps.length, { interval: 5, timeout: 10_000 }).toBe(1);
    expect(secure.counts).toEqual({ all: 3, tls: 3 });
    secure.cut();
    await expect.poll(() => gaps.length, { interval: 5, timeout: 10_000 }).toBe(2);
    await expect.poll(() => database.query('select').then(() => 'answers', String), { interval: 5 }).toBe('answers');
  });

  test.each([
    ['verify-ca', 'ca.pem', 'connected'],
    [
      'verify-ca',
      'other-ca.pem',
      'certificate signature failure|unable to verify the first certificate|unable to get local issuer certificate',
    ],
    ['verify-full', 'ca.pem', "Hostname/IP does not match certificate's altnames"],
    ['require', 'ca.pem', 'connected'],
    [
      'require',
      'other-ca.pem',
      'certificate signature failure|unable to verify the first certificate|unable to get local issuer certificate',
    ],
    ['verify-full', 'system', 'unable to verify the first certificate|unable to get local issuer certificate'],
  ])('sslmode=%s with %s: %s', async (mode, root, outcome) => {
    name = await handedOut();
    const { port } = await server();
    const path = root === 'system' ? root : file(root);
    const url = urlOf(name, port, `?sslmode=${mode}&sslrootcert=${encodeURIComponent(path)}`);
    const came = await connect(url).then(
      () => 'connected',
      (error: Fault) => String(error.data.why),
    );
    expect(came).toMatch(new RegExp(outcome));
  });

  test('a certificate that is missing is named', async () => {
    const faults = async (query: string) => (await faultOf(connect(urlOf('user', 9, query)))).data.faults;
    expect(await faults('?sslmode=verify-ca')).toBe(
      '  - DATABASE_URL asks for sslmode=verify-ca without sslrootcert; name the certificate, or take sslmode=verify-full',
    );
    expect(await faults('?sslmode=verify-full&sslrootcert=/nowhere.pem')).toBe(
      '  - DATABASE_URL names /nowhere.pem as sslrootcert, which cannot be read: ENOENT',
    );
  });
});
