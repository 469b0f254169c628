import { renameSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import type { Identity } from './certificates.ts';

/** The context by which Plinth knows that a cluster is its own, and so plainly local. */
export const contextName = 'plinth-local';

/** Writes a kubeconfig that holds its keys in itself, readable by its owner only (0600), all at once. */
export function writeKubeconfig(file: string, url: string, identity: Identity): void {
  const data = (pem: string) => Buffer.from(pem).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': contextName,
    clusters: [{ name: contextName, cluster: { server: url, 'certificate-authority-data': data(identity.ca) } }],
    users: [
      {
        name: contextName,
        user: { 'client-certificate-data': data(identity.cert), 'client-key-data': data(identity.key) },
      },
    ],
    contexts: [{ name: contextName, context: { cluster: contextName, user: contextName } }],
  };
  writeFileSync(`${file}.new`, stringify(config, { lineWidth: 0 }), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
