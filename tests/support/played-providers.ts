import { createHash, createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

type Answer = (request: IncomingMessage, url: URL, body: URLSearchParams) => unknown;

/** A server whose routes answer JSON; undefined is 404, a number that status. */
async function startJsonServer(answer: Answer) {
  const server = createServer(async (request, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const given = await answer(request, url, new URLSearchParams(await text(request)));
    const status = given === undefined ? 404 : typeof given === 'number' ? given : 200;
    const location = (given as { location?: string } | undefined)?.location;
    if (location !== undefined) response.writeHead(302, { Location: location }).end();
    else
      response
        .writeHead(status, { 'Content-Type': 'application/json' })
        .end(typeof given === 'number' ? '{}' : JSON.stringify(given));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

/** How the hostile provider signs its ID token. */
export const signers = {
  right: (claims: object) => rs256(claims, privateKey),
  none: (claims: object) => `${encode({ alg: 'none' })}.${encode(claims)}.`,
  noneWithSignature: (claims: object) =>
    `${encode({ alg: 'none', kid: 'k' })}.${encode(claims)}.${randomBytes(32).toString('base64url')}`,
  /** HS256 with the text of the public key, which everybody knows. */
  hmacWithPublicKey: (claims: object) => hs256(claims, publicKey.export({ format: 'pem', type: 'spki' }) as string),
  /** HS256 with the client secret, which the provider shares with us. */
  hmacWithClientSecret: (claims: object) => hs256(claims, 'client secret'),
  stranger: (claims: object) => rs256(claims, stranger),
  /** With the key that opens it in its own header. */
  ownKeyInHeader: (claims: object) => rs256(claims, stranger, { jwk: stranger.export({ format: 'jwk' }) }),
  unsigned: (claims: object) => `${encode({ alg: 'RS256', kid: 'k' })}.${encode(claims)}.`,
} as const satisfies Record<string, (claims: object) => string>;

function rs256(claims: object, key: KeyObject, more: object = {}): string {
  const signed = `${encode({ alg: 'RS256', kid: 'k', ...more })}.${encode(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
}

function hs256(claims: object, secret: string): string {
  const signed = `${encode({ alg: 'HS256', kid: 'k' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** An OpenID provider that says whatever a test lets it say. */
export async function startHostileProvider() {
  const wish = {
    signer: 'right' as keyof typeof signers,
    claims: {} as Record<string, unknown>,
    userinfo: undefined as Record<string, unknown> | undefined,
    metadata: {} as Record<string, unknown>,
    /** Requests that fail before one is answered; `always` never is. */
    down: 0,
  };
  const asked: string[] = [];
  let nonce = '';
  const server = await startJsonServer((_request, { pathname, searchParams }) => {
    asked.push(pathname);
    if (wish.down > 0) {
      wish.down -= 1;
      return 503;
    }
    if (pathname === '/.well-known/openid-configuration') return metadata();
    if (pathname === '/keys')
      return { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' }] };
    if (pathname === '/authorize') {
      nonce = searchParams.get('nonce') ?? '';
      return { location: `${searchParams.get('redirect_uri')}?code=c&state=${searchParams.get('state')}` };
    }
    if (pathname === '/token')
      return { access_token: 'a', token_type: 'Bearer', id_token: signers[wish.signer](claims()) };
    if (pathname === '/userinfo') return wish.userinfo;
    return undefined;
  });
  const metadata = () => ({
    issuer: server.url,
    authorization_endpoint: `${server.url}/authorize`,
    token_endpoint: `${server.url}/token`,
    jwks_uri: `${server.url}/keys`,
    ...(wish.userinfo === undefined ? {} : { userinfo_endpoint: `${server.url}/userinfo` }),
    // It claims to support everything: what counts is what we take.
    id_token_signing_alg_values_supported: ['RS256', 'HS256', 'none'],
    ...wish.metadata,
  });
  const claims = () => {
    const now = Math.floor(Date.now() / 1000);
    const usual = { iss: server.url, aud: 'plinth', sub: 'victim', iat: now, exp: now + 300, nonce };
    return { ...usual, email: 'victim@example.com', email_verified: true, ...wish.claims };
  };
  return { ...server, wish, asked };
}

/** The far side of GitHub: its OAuth and the parts of its API that are asked, in its forms. */
export async function startPlayedGithub() {
  const state = {
    user: { id: 42, login: 'ada', name: 'Ada King' as string | null },
    emails: [] as { email: string; primary: boolean; verified: boolean }[],
    teams: [] as { slug: string; organization: { login: string } }[],
  };
  const codes = new Map<string, string>();
  const asked: string[] = [];
  const server = await startJsonServer((request, { pathname, searchParams }, body) => {
    asked.push(`${request.method} ${pathname}`);
    if (pathname === '/login/oauth/authorize') {
      const code = randomBytes(8).toString('hex');
      codes.set(code, searchParams.get('code_challenge') ?? '');
      asked.push(`scope ${searchParams.get('scope')}`);
      return { location: `${searchParams.get('redirect_uri')}?code=${code}&state=${searchParams.get('state')}` };
    }
    if (pathname === '/login/oauth/access_token') {
      const challenge = codes.get(body.get('code') ?? '');
      codes.delete(body.get('code') ?? '');
      const verifier = body.get('code_verifier') ?? '';
      const right = challenge === createHash('sha256').update(verifier).digest('base64url');
      // It answers 200 here as well.
      if (!right || body.get('client_secret') !== 'client secret') return { error: 'bad_verification_code' };
      return { access_token: 'gho_token', token_type: 'bearer', scope: 'read:user,user:email' };
    }
    if (pathname === '/api/v3/meta') return { installed_version: '3.14' };
    if (request.headers.authorization !== 'Bearer gho_token') return 401;
    if (pathname === '/api/v3/user') return state.user;
    if (pathname === '/api/v3/user/emails') return state.emails;
    if (pathname === '/api/v3/user/teams') return state.teams;
    return undefined;
  });
  return { ...server, state, asked };
}
