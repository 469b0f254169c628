import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { createAudit } from '#audit/audit.ts';
import { authorise } from '#auth/authorise.ts';
import { keepInFile } from '#auth/people/password-keeper.ts';
import { systemClock } from '#base/clock.ts';
import { readConfig } from '#base/config.ts';
import { newId } from '#base/ids.ts';
import { createLog } from '#base/log.ts';
import { createMetrics } from '#base/metrics.ts';
import { defineRoute, type HandlersOf } from '#contract/route.ts';
import { routes as contract } from '#contract/routes.ts';
import { createListener } from '#database/listen.ts';
import { channels, createNotices } from '#database/notices.ts';
import { createApplication, endApplication } from '#http/application.ts';
import { listen } from '#http/listener.ts';
import { createOrigins } from '#http/origins.ts';
import { mountRoutes } from '#http/route.ts';
import { openAccess } from '../../../app/access.ts';
import { type Ending, openStores } from '../../../app/stores.ts';
import type { Told } from './server.ts';

/** The control plane's own stores, access and http, with two routes that do the same work: one is public. */
const reply = { json: z.object({ ok: z.boolean() }) };
const common = { tag: 'Bench', method: 'GET', summary: 'The same work', reply } as const;
const routes = [
  defineRoute({ ...common, name: 'open', path: '/open', permission: 'public' }),
  defineRoute({ ...common, name: 'closed', path: '/closed', permission: 'self:read', reach: 'personal' }),
  ...contract.filter(({ name }) => name === 'signIn' || name === 'createToken'),
] as const;

const password = 'correct horse battery';
const directory = mkdtempSync(join(tmpdir(), 'plinth-bench-'));
const config = readConfig({ DATA_DIR: directory, AUTH_ADMIN_PASSWORD: password, TRUSTED_PROXIES: '127.0.0.1' });
const log = createLog({ level: 'info', to: { write: () => {} } });
const clock = systemClock;
const endings: Ending[] = [];
const stopping = new AbortController().signal;
const stores = await openStores({ config, log, clock, stopping }, endings);
const { connection, database } = stores;
const notices = createNotices();
const { deliver: onNotice, missed: onGap, heard: onHeard } = notices;
const listener = createListener({ connection, channels, log, clock, onNotice, onGap, onHeard });
endings.push({ what: 'notices', end: () => listener.stop() });
const audit = createAudit({ database, clock, log });
const baseUrl = 'http://localhost:3000';
const keeper = keepInFile(directory);
const projectDomains = { current: () => [] };
const access = await openAccess(
  { config, stores, audit, notices, log, clock, baseUrl, keeper, projectDomains },
  endings,
);

const same = async () => ({ json: { ok: true } });
// Only the handlers of these routes are asked for.
const handlers = { ...access.handlers, open: same, closed: same } as unknown as HandlersOf<typeof routes>;
const origins = createOrigins({
  baseUrl,
  trustedOrigins: [],
  corsOrigins: [],
  appDomain: config.appDomain,
  projectsDomain: config.projectsDomain,
  production: false,
});
const { trustedProxies } = config;
const newRequestId = () => newId('request', clock.now());
const app = createApplication({
  log,
  clock,
  metrics: createMetrics(),
  newRequestId,
  stopping,
  origins,
  trustedProxies,
});
mountRoutes(app, { ...access.callers, routes, handlers, authorise, clock, origins, audit: audit.record });
endApplication(app);
const server = await listen({ handler: app, host: '127.0.0.1', port: 0, setting: 'API_PORT', clock });
endings.push({ what: 'server', end: () => server.close(1000) });

process.send?.({ url: server.url, ...(await proofs()) } satisfies Told);
process.once('message', async () => {
  for (const { end } of endings.reverse()) await end();
  rmSync(directory, { recursive: true });
  process.exit(0);
});

/** A token and a session of the administrator, got as everybody gets them. */
async function proofs(): Promise<Omit<Told, 'url'>> {
  const basic = Buffer.from(`${config.adminEmail}:${password}`).toString('base64');
  const headers = { 'content-type': 'application/json' };
  const made = await fetch(`${server.url}/api/v1/tokens`, {
    method: 'POST',
    headers: { ...headers, authorization: `Basic ${basic}` },
    body: JSON.stringify({ name: 'bench' }),
  });
  const { token } = (await made.json()) as { token: string };
  const signedIn = await fetch(`${server.url}/api/auth/sign-in/email`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ email: config.adminEmail, password }),
  });
  const cookie = signedIn.headers.getSetCookie().map((line) => line.split(';')[0]);
  return { token: { authorization: `Bearer ${token}` }, session: { cookie: cookie.join('; ') } };
}
