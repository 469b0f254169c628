import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openIdentity, type TestIdentity, WanderingBrowser } from '#support/identity.ts';
import { describeUnless } from '#support/missing.ts';
import { useDatabase } from '#support/postgres.ts';
import {
  type AssertionWish,
  certificatesMissing,
  createSamlServer,
  fromBase64,
  type KeyPair,
  makeKeyPair,
  newXmlId,
  toBase64,
} from '#support/saml-server.ts';

const missing = certificatesMissing();

const db = useDatabase();
let plinth: TestIdentity;
let keys: KeyPair;
let idp: ReturnType<typeof createSamlServer>;
let ours: string;

beforeAll(async () => {
  if (missing !== undefined) return;
  plinth = await openIdentity(db.database);
  keys = makeKeyPair('idp.example');
  idp = createSamlServer(keys);
  const body = { name: 'Adfs', kind: 'saml', label: 'Company', metadata: idp.metadata };
  const made = await plinth.api('POST', '', body);
  expect(made.status, made.text).toBe(201);
  ours = await (await fetch(made.json.metadataUrl ?? '')).text();
});
afterAll(() => plinth?.close());

let number = 0;
let email: string;
beforeEach(() => {
  number += 1;
  email = `p${number}@example.com`;
});

const acs = () => `${plinth.url}/api/auth/sso/saml2/sp/acs/Adfs`;
const change = async (more: Record<string, unknown>) => {
  const put = await plinth.api('PUT', '/Adfs', { kind: 'saml', label: 'Company', metadata: idp.metadata, ...more });
  expect(put.status, put.text).toBe(200);
};
const begin = async (browser: WanderingBrowser, query = '') =>
  idp.read(ours, (await browser.visit(`${plinth.url}/api/auth/sign-in/Adfs${query}`)).location ?? '');
const pathOf = (url: string | undefined) => url?.slice(plinth.url.length);

/** The form that the provider's page lets the browser post: no cookie of ours comes with it. */
const post = async (browser: WanderingBrowser, SAMLResponse: string, RelayState: string) =>
  browser.visit(acs(), { SAMLResponse, RelayState }, { crossSite: true });
const deliver = async (browser: WanderingBrowser, response: string, state: string) => {
  const seen = await post(browser, response, state);
  const path = pathOf(seen.location) ?? String(seen.status);
  return path.startsWith('/api/auth/sso/saml2/continue/')
    ? pathOf((await browser.visit(seen.location ?? '')).location)
    : path;
};

/** There and back; `forge` changes the XML on its way. */
async function walk(wish: Partial<AssertionWish> = {}, forge = (xml: string) => xml, browser = new WanderingBrowser()) {
  const { requestId, state } = await begin(browser);
  const response = await idp.answer(ours, { nameId: email, inResponseTo: requestId, ...wish });
  return { browser, end: await deliver(browser, toBase64(forge(fromBase64(response))), state) };
}
const reasonLast = () => String(plinth.log.lines().findLast(({ msg }) => String(msg).includes('failed'))?.reason);

describeUnless(missing, 'signing in by SAML', () => {
  test('makes the person from NameID and attributes', async () => {
    const attributes = { displayName: ['Ada King'], groups: ['makers', 'people'] };
    const { browser, end } = await walk({ attributes });
    expect(end, reasonLast()).toBe('/account');
    expect(await plinth.whoIs(browser)).toMatchObject({ email, name: 'Ada King', role: 'viewer', emailVerified: true });
  });

  test('we ask for an answer to our address, with an id of its own', async () => {
    const [one, other] = [await begin(new WanderingBrowser()), await begin(new WanderingBrowser())];
    expect(one.acs).toBe(acs());
    expect(one.requestId).toMatch(/^_[0-9a-f]{40}$/);
    expect(other.requestId).not.toBe(one.requestId);
  });

  test('our metadata names the address, and wants assertions signed', () => {
    expect(ours).toContain(`Location="${acs()}"`);
    expect(ours).toContain('WantAssertionsSigned="true"');
    expect(ours).toContain(`entityID="${plinth.url}/api/auth/sso/saml2/sp/metadata/Adfs"`);
  });

  test('goes on to where the browser wanted', async () => {
    const browser = new WanderingBrowser();
    const { requestId, state } = await begin(browser, '?next=/account/devices');
    const response = await idp.answer(ours, { nameId: email, inResponseTo: requestId });
    expect(await deliver(browser, response, state)).toBe('/account/devices');
  });

  test('attributes give role and address', async () => {
    const groups = 'http://schemas.microsoft.com/ws/2008/06/identity/claims/groups';
    const rules = [{ expression: `{{#includes [${groups}] "makers"}}true{{/includes}}`, role: 'editor' }];
    await change({ roleMapping: { rules } });
    const { browser } = await walk({
      nameId: `id-${number}`,
      nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
      attributes: { [groups]: ['Makers'], mail: [email] },
    });
    expect(await plinth.whoIs(browser)).toMatchObject({ email, role: 'editor' });
    await change({});
  });

  test('without trust in its addresses it links to nobody', async () => {
    await plinth.person(email, 'seven silent owls', 'admin');
    await change({ trustEmail: false });
    expect((await walk()).end).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
    await change({});
    expect((await walk()).end).toBe('/account');
  });

  test('a request is signed when there is a key for it', async () => {
    const own = makeKeyPair('plinth');
    await change({ privateKey: own.privateKey });
    const { location } = await new WanderingBrowser().visit(`${plinth.url}/api/auth/sign-in/Adfs`);
    expect(new URL(location ?? '').searchParams.get('SigAlg')).toBe(
      'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    );
    expect((await plinth.api('GET', '/Adfs')).json.secretSet).toBe(true);
  });
});

describeUnless(missing, 'hostile: the walk', () => {
  test('an answer is finished only in the browser that began', async () => {
    const [attacker, victim] = [new WanderingBrowser(), new WanderingBrowser()];
    const { requestId, state } = await begin(attacker);
    const response = await idp.answer(ours, { nameId: email, inResponseTo: requestId });
    expect(await deliver(victim, response, state)).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
    expect(await plinth.whoIs(victim)).toBeUndefined();
  });

  test('assertion replay: under its own state and under a new one', async () => {
    const browser = new WanderingBrowser();
    const { requestId, state } = await begin(browser);
    const response = await idp.answer(ours, { nameId: email, inResponseTo: requestId });
    expect(await deliver(browser, response, state)).toBe('/account');
    expect(await deliver(browser, response, state)).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
    const again = await begin(browser);
    expect(await deliver(browser, response, again.state)).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
    expect(reasonLast()).toContain('does not answer our request');
  });

  test('the same assertion id twice is refused although both are signed', async () => {
    const assertionId = newXmlId();
    expect((await walk({ assertionId })).end).toBe('/account');
    expect((await walk({ assertionId })).end).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
    expect(reasonLast()).toContain('used already');
  });

  test('one request takes one answer', async () => {
    const browser = new WanderingBrowser();
    const { requestId, state } = await begin(browser);
    const answers = await Promise.all([1, 2].map(() => idp.answer(ours, { nameId: email, inResponseTo: requestId })));
    const first = await post(browser, answers[0] ?? '', state);
    expect(first.location).toContain('/continue/');
    expect(pathOf((await post(browser, answers[1] ?? '', state)).location)).toBe(
      '/sign-in?error=IDENTITY_STATE_UNKNOWN',
    );
  });

  test('nobody gets past the cookie by skipping the answer', async () => {
    const browser = new WanderingBrowser();
    const { state } = await begin(browser);
    const seen = await browser.visit(`${plinth.url}/api/auth/sso/saml2/continue/Adfs?state=${state}`);
    expect(pathOf(seen.location)).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
  });

  test('an answer that nobody asked for is refused, and taken where the administrator says so', async () => {
    const response = await idp.answer(ours, { nameId: email, inResponseTo: null });
    expect(await deliver(new WanderingBrowser(), response, '')).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
    await change({ allowUnsolicited: true });
    const browser = new WanderingBrowser();
    expect(await deliver(browser, response, 'https://evil.example/')).toBe('/account');
    expect(await plinth.whoIs(browser)).toMatchObject({ email });
    // But once, and not one that was meant for a request.
    expect(await deliver(new WanderingBrowser(), response, '')).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
    const { requestId } = await begin(browser);
    const stolen = await idp.answer(ours, { nameId: email, inResponseTo: requestId });
    expect(await deliver(new WanderingBrowser(), stolen, '')).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
    expect(reasonLast()).toContain('answers a request');
    await change({});
  });
});

describeUnless(missing, 'hostile: the assertion', () => {
  const refuse = async (wish: Partial<AssertionWish>, why: string, forge?: (xml: string) => string) => {
    const { browser, end } = await walk(wish, forge);
    expect(end).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
    expect(reasonLast()).toMatch(new RegExp(why));
    expect(await plinth.whoIs(browser)).toBeUndefined();
  };

  test('for another audience', () => refuse({ audience: 'https://other.example' }, 'audience mismatch'));
  test('for another recipient', () => refuse({ recipient: 'https://other.example/acs' }, 'another recipient'));
  test('of another issuer', () => refuse({ issuer: 'https://other.example' }, 'another issuer'));
  test('in answer to another request', () => refuse({ inResponseTo: newXmlId() }, 'does not answer our request'));
  test('in answer to none', () => refuse({ inResponseTo: null }, 'does not answer our request'));
  test('that is too old', () => refuse({ expiresInSeconds: -120 }, 'subject confirmation|expired|too old'));
  test('that does not count yet', () => refuse({ beginsInSeconds: 600 }, 'not yet valid'));
  test('whose subject is not confirmed for the bearer', () =>
    refuse({ method: 'urn:oasis:names:tc:SAML:2.0:cm:sender-vouches' }, 'not confirmed for the bearer'));
  test('with a NameID that is another one each time', () =>
    refuse({ nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' }, 'transient'));

  test('signed by a key that is not the provider’s, its certificate enclosed', async () => {
    const evil = createSamlServer(makeKeyPair('idp.example'));
    const browser = new WanderingBrowser();
    const { requestId, state } = await begin(browser);
    const response = await evil.answer(ours, { nameId: email, inResponseTo: requestId });
    expect(await deliver(browser, response, state)).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
    expect(reasonLast()).toContain('Invalid signature');
  });

  test('not signed', () =>
    refuse({}, 'Invalid signature', (xml) => xml.replace(/<ds:Signature.*?<\/ds:Signature>/s, '')));
  test('changed after it was signed', () =>
    refuse({}, 'Invalid signature', (xml) => xml.replace(email, 'admin@example.com')));
  test('an attribute added after it was signed', () =>
    refuse({}, 'Invalid signature', (xml) =>
      xml.replace(
        '</saml:AuthnStatement>',
        '</saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>x@y</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>',
      ),
    ));
  test('a comment that cuts the name in two', () =>
    refuse({ nameId: 'admin@example.com.evil.example' }, 'comment', (xml) =>
      xml.replace('admin@example.com.evil', 'admin@example.com<!-- -->.evil'),
    ));
  test('a DTD', () => refuse({}, 'DTD', (xml) => `<!DOCTYPE r [<!ENTITY x "y">]>${xml}`));
  test('entities that grow', () =>
    refuse(
      {},
      'DTD',
      (xml) => `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>${xml}`,
    ));
  test('a processing instruction and CDATA', async () => {
    await refuse({}, 'processing instruction', (xml) => xml.replace('<saml:Subject>', '<?x y?><saml:Subject>'));
    await refuse({}, 'processing instruction', (xml) => xml.replace(email, `<![CDATA[${email}]]>`));
  });
  test('signed by SHA-1 or a shared key', async () => {
    await refuse({}, 'not safe', (xml) =>
      xml.replaceAll('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'http://www.w3.org/2000/09/xmldsig#rsa-sha1'),
    );
    await refuse({}, 'not safe', (xml) =>
      xml.replaceAll(
        'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
        'http://www.w3.org/2001/04/xmldsig-more#hmac-sha256',
      ),
    );
  });
  test('not XML, not base64, nothing in it, or nested beyond measure', async () => {
    await refuse({}, '.', () => 'hello');
    await refuse({}, '.', () => '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>');
    await refuse({}, 'too many elements', () => `${'<a>'.repeat(30_000)}${'</a>'.repeat(30_000)}`);
    await refuse({}, '.', () => `${'<a>'.repeat(1_400)}${'</a>'.repeat(1_400)}`);
    const browser = new WanderingBrowser();
    const { state } = await begin(browser);
    expect(await deliver(browser, '%%%', state)).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
  });
  test('larger than any answer is', async () => {
    const browser = new WanderingBrowser();
    const { state } = await begin(browser);
    expect((await post(browser, 'A'.repeat(350_001), state)).status).toBe(400);
    expect((await post(browser, 'A'.repeat(600_000), state)).status).toBe(413);
  });

  describe('signature wrapping', () => {
    const assertionOf = (xml: string) => /<saml:Assertion .*<\/saml:Assertion>/s.exec(xml)?.[0] ?? '';
    const evilOf = (xml: string) => {
      const unsigned = assertionOf(xml).replace(/<ds:Signature.*?<\/ds:Signature>/s, '');
      return unsigned.replaceAll(email, 'admin@example.com').replace(/ ID="[^"]*"/, ` ID="${newXmlId()}"`);
    };
    const signatureOf = (xml: string) => /<ds:Signature.*?<\/ds:Signature>/s.exec(xml)?.[0] ?? '';

    const forms: Readonly<Record<string, (xml: string) => string>> = {
      'XSW1: the signed assertion as an object within a signature beside it': (xml) =>
        xml.replace(assertionOf(xml), () =>
          evilOf(xml).replace(
            '</saml:Issuer>',
            () =>
              `</saml:Issuer>${signatureOf(xml).replace('</ds:Signature>', `<ds:Object>${assertionOf(xml)}</ds:Object></ds:Signature>`)}`,
          ),
        ),
      'XSW3: a forged assertion before the signed one': (xml) =>
        xml.replace(assertionOf(xml), (signed) => evilOf(xml) + signed),
      'XSW4: the signed assertion inside of the forged one': (xml) =>
        xml.replace(assertionOf(xml), (signed) =>
          evilOf(xml).replace('</saml:Assertion>', `${signed}</saml:Assertion>`),
        ),
      'XSW5: the forged assertion has the signature, the signed one stands without it at the end': (xml) => {
        const bare = assertionOf(xml).replace(signatureOf(xml), '');
        const evil = evilOf(xml).replace('</saml:Issuer>', () => `</saml:Issuer>${signatureOf(xml)}`);
        return xml.replace(assertionOf(xml), () => evil + bare);
      },
      'XSW7: the signed assertion within extensions': (xml) =>
        xml.replace(assertionOf(xml), (signed) => `${evilOf(xml)}<samlp:Extensions>${signed}</samlp:Extensions>`),
      'XSW8: the signed assertion as an object of the forged one': (xml) =>
        xml.replace(assertionOf(xml), (signed) =>
          evilOf(xml).replace(
            '</saml:Issuer>',
            () =>
              `</saml:Issuer><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:Object>${signed}</ds:Object></ds:Signature>`,
          ),
        ),
      'the same ID twice': (xml) => {
        const id = / ID="([^"]*)"/.exec(assertionOf(xml))?.[1] ?? '';
        return xml.replace(assertionOf(xml), (signed) => evilOf(xml).replace(/ ID="[^"]*"/, ` ID="${id}"`) + signed);
      },
      'a second subject in the envelope': (xml) =>
        xml.replace(
          '<samlp:Status>',
          '<saml:Assertion ID="_x" Version="2.0"><saml:Subject><saml:NameID>admin@example.com</saml:NameID></saml:Subject></saml:Assertion><samlp:Status>',
        ),
      'the envelope within another envelope': (xml) =>
        `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_y" Version="2.0">${evilOf(xml)}${xml}</samlp:Response>`,
    };

    test.each(Object.keys(forms))('%s', async (name) => {
      const { browser, end } = await walk({}, forms[name]);
      expect(end).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
      expect(await plinth.whoIs(browser)).toBeUndefined();
      expect(await plinth.people.findByEmail('admin@example.com')).toBeUndefined();
    });

    test('what surrounds a signed assertion is never read: the name comes from the signed bytes', async () => {
      const { browser, end } = await walk({}, (xml) =>
        xml.replace(
          '<samlp:Status>',
          '<saml:Subject><saml:NameID>admin@example.com</saml:NameID></saml:Subject><samlp:Status>',
        ),
      );
      expect(end).toBe('/account');
      expect(await plinth.whoIs(browser)).toMatchObject({ email });
    });
  });
});
