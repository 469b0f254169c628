import { once } from 'node:events';
import { request as ask, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeInBrowser } from '#support/browser.ts';
import { type Front, startFront } from '#support/front.ts';
import { openIdentity, type TestIdentity, WanderingBrowser } from '#support/identity.ts';
import { describeUnless } from '#support/missing.ts';
import { useDatabase } from '#support/postgres.ts';
import { certificatesMissing, createSamlServer, makeKeyPair } from '#support/saml-server.ts';

/**
 * What the walk through SAML stands on: a browser does not send our cookie (SameSite=Lax) with the post from the
 * provider's page, which is another site, but sends it when that post leads on to ourselves.
 */
describeUnless(certificatesMissing(), 'SAML', () =>
  describeInBrowser('signing in by SAML in a browser', (browser) => {
    const db = useDatabase();
    let plinth: TestIdentity;
    let front: Front;
    const cookiesOfPosts: (string | undefined)[] = [];
    let idp: Awaited<ReturnType<typeof startPage>>;

    beforeAll(async () => {
      front = await startFront({ tls: false });
      plinth = await openIdentity(db.database);
      const { port } = new URL(plinth.url);
      front.serve('plinth.example.test', (request, response) => {
        if (request.method === 'POST') cookiesOfPosts.push(request.headers.cookie);
        const { method, url, headers } = request;
        const passed = ask({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
          answer.pipe(response);
        });
        request.pipe(passed);
      });
      const baseUrl = front.origin('plinth.example.test');
      plinth.open({ baseUrl });
      idp = await startPage(() => `${plinth.url}/api/auth/sso/saml2/sp/metadata/Adfs`);
      const body = {
        name: 'Adfs',
        kind: 'saml',
        label: 'X',
        metadata: idp.saml.metadata,
        entryPoint: `${idp.url}/sso`,
      };
      expect((await plinth.api('POST', '', body)).status).toBe(201);
    });
    afterAll(async () => {
      await idp?.close();
      await plinth?.close();
      await front?.close();
    });

    const who = async (context: BrowserContext) => {
      const cookies = await context.cookies(front.origin('plinth.example.test'));
      const session = await plinth.sessions.find(cookies.map(({ name, value }) => `${name}=${value}`).join('; '));
      return session === undefined ? undefined : (await plinth.people.find(session.userId))?.email;
    };

    test('the person who began it comes in', async () => {
      const context = await browser.open();
      const page = await context.newPage();

      await page.goto(`${front.origin('plinth.example.test')}/api/auth/sign-in/Adfs?next=/account/devices`);
      await page.waitForURL('**/account/devices');
      expect(await who(context)).toBe('ada@example.com');
      // So it went as it is thought to go: without the cookie, nobody gets past the second step.
      expect(cookiesOfPosts.at(-1)).toBeUndefined();
    });

    test('a page of strangers cannot post its own answer for its visitor', async () => {
      const attacker = new WanderingBrowser();
      const { location = '' } = await attacker.visit(`${plinth.url}/api/auth/sign-in/Adfs`);
      const context = await browser.open();
      const page = await context.newPage();
      await page.goto(location);
      await page.waitForURL('**/sign-in?error=IDENTITY_STATE_UNKNOWN');
      expect(await who(context)).toBeUndefined();
    });
  }),
);

/** The page of the provider: it posts its signed answer by itself. At an address, so that it is another site. */
async function startPage(metadataUrl: () => string) {
  const saml = createSamlServer(makeKeyPair('idp.example'));
  const server = createServer(async (request, response) => {
    if (!request.url?.startsWith('/sso?')) {
      response.writeHead(404).end();
      return;
    }
    const metadata = await (await fetch(metadataUrl())).text();
    const { requestId, state, acs } = await saml.read(metadata, `http://idp.example${request.url}`);
    const answer = await saml.answer(metadata, { nameId: 'ada@example.com', inResponseTo: requestId });
    const field = (name: string, value: string) => `<input type="hidden" name="${name}" value="${value}">`;
    response.setHeader('Content-Type', 'text/html');
    response.end(
      `<body onload="document.forms[0].submit()"><form method="post" action="${acs}">${field('SAMLResponse', answer)}${field('RelayState', state)}</form></body>`,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    saml,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
