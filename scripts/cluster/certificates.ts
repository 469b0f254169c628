import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a client of the API server needs to be known to it: PEM texts. */
export interface Identity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * `admin` is the person who uses the cluster; `parts` is what the cluster's own controllers sign in as, so that an
 * audit log can leave them out. Both are in system:masters.
 */
export type User = 'admin' | 'parts';

const users: readonly User[] = ['admin', 'parts'];

/**
 * Makes, once per folder, a certificate authority with the API server's certificate, the users' and the key that signs
 * service account tokens. Every cluster has its own, so that a key of one opens no other. Needs openssl.
 */
export function makeCertificates(folder: string): void {
  if (existsSync(folder)) return;
  const unfinished = `${folder}.${process.pid}`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700, recursive: true });
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: unfinished, stdio: ['ignore', 'ignore', 'pipe'] });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const days = ['-days', '3650'];

  const authority = [
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ];
  const self = ['-subj', '/CN=plinth-local', '-keyout', 'ca.key', '-out', 'ca.crt'];
  openssl('req', '-x509', ...newKey, ...days, ...self, ...authority);

  const sign = (name: string, subject: string, extensions: string) => {
    writeFileSync(join(unfinished, `${name}.ext`), extensions);
    openssl('req', ...newKey, '-subj', subject, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, ...days, '-out', `${name}.crt`);
  };
  const addresses = 'DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:::1';
  sign('server', '/CN=kube-apiserver', `subjectAltName=${addresses}\nextendedKeyUsage=serverAuth\n`);
  for (const user of users) sign(user, `/O=system:masters/CN=${user}`, 'extendedKeyUsage=clientAuth\n');

  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'sa.key');
  openssl('ec', '-in', 'sa.key', '-pubout', '-out', 'sa.pub');
  renameSync(unfinished, folder);
}

/** Reads what `makeCertificates` made for one user. */
export function identityOf(folder: string, user: User): Identity {
  const read = (file: string) => readFileSync(join(folder, file), 'utf8');
  return { ca: read('ca.crt'), cert: read(`${user}.crt`), key: read(`${user}.key`) };
}
