import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto';
import type { Secret } from '#base/secret.ts';

/**
 * Commits signed with SSH keys, in the format of `ssh-keygen -Y sign -n git` (PROTOCOL.sshsig of OpenSSH), which Git
 * writes into the header `gpgsig` and every large host verifies. Keys of type ed25519, ECDSA (P-256, P-384, P-521) and
 * RSA of 2048 bits and more; security keys (sk-…) and OpenPGP are not understood, and count as unsigned.
 */
export interface Signer {
  /** One line of authorized_keys: `ssh-ed25519 AAAA… plinth`. */
  readonly publicKey: string;
  /** The armoured signature of a commit as it stands without the signature. */
  sign(commit: Buffer): string;
}

export type Verdict =
  /** `key`: the key that signed, as `ssh-ed25519 AAAA…`. */
  { readonly kind: 'signed'; readonly key: string } | { readonly kind: 'refused'; readonly why: string };

const namespace = 'git';
const begin = '-----BEGIN SSH SIGNATURE-----';
const end = '-----END SSH SIGNATURE-----';
const lineLength = 70;
const leastRsaBits = 2048;

/** What stands before an ed25519 seed in PKCS #8, and before an ed25519 public key in SPKI (RFC 8410). */
const privatePrefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const publicPrefixBytes = 12;

/**
 * A signer whose key is made from a seed, so that it is the same wherever the seed is.
 * @param seed 32 bytes
 */
export function createSigner(seed: Secret<Buffer>): Signer {
  const key = createPrivateKey({
    key: Buffer.concat([privatePrefix, seed.reveal()]),
    format: 'der',
    type: 'pkcs8',
  });
  const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(publicPrefixBytes);
  const blob = Buffer.concat([text('ssh-ed25519'), text(raw)]);
  return {
    publicKey: `ssh-ed25519 ${blob.toString('base64')} plinth`,
    sign: (commit) => {
      const signature = sign(null, signedData('sha512', commit), key);
      const body = Buffer.concat([
        Buffer.from('SSHSIG'),
        number(1),
        ...[blob, namespace, '', 'sha512', Buffer.concat([text('ssh-ed25519'), text(signature)])].map(text),
      ]);
      const lines = body.toString('base64').match(new RegExp(`.{1,${lineLength}}`, 'g')) ?? [];
      return [begin, ...lines, end].join('\n');
    },
  };
}

/** A commit with its signature, which goes between its headers and its message. */
export function withSignature(commit: Buffer, signature: string): Buffer {
  const at = commit.indexOf('\n\n') + 1;
  const header = Buffer.from(`gpgsig ${signature.replaceAll('\n', '\n ')}\n`);
  return Buffer.concat([commit.subarray(0, at), header, commit.subarray(at)]);
}

/**
 * Whether a commit carries the signature of one of these keys over all the rest of it.
 * @param commit the object's content, as Git keeps it
 * @param keys lines of authorized_keys
 */
export function verifyCommit(commit: Buffer, keys: readonly string[]): Verdict {
  const parts = splitCommit(commit);
  if (parts === undefined) return refused('it is not signed');
  if (!parts.signature.startsWith(begin))
    return refused('it is signed with OpenPGP or X.509; only SSH keys count here');
  try {
    const { blob, hashName, algorithm, signature } = readSignature(parts.signature);
    const known = keys.some((line) => isSame(blob, Buffer.from(line.split(' ')[1] ?? '', 'base64')));
    const name = `${keyType(blob)} ${blob.toString('base64')}`;
    if (!known) return refused(`the key that signed it, ${fingerprint(blob)}, is not among signatures.keys`);
    const holds = check(signedData(hashName, parts.payload), blob, algorithm, signature);
    return holds ? { kind: 'signed', key: name } : refused('its signature does not fit its content');
  } catch (error) {
    return refused(`its signature cannot be read: ${(error as Error).message}`);
  }
}

const refused = (why: string): Verdict => ({ kind: 'refused', why });

/** As `ssh-keygen -l` shows it. */
const fingerprint = (blob: Buffer) => `SHA256:${hash('sha256', blob, 'base64').replace(/=+$/, '')}`;

/** The commit without the header `gpgsig`, and what stood there; undefined: nothing did, or it did twice. */
function splitCommit(commit: Buffer): { payload: Buffer; signature: string } | undefined {
  const headersEnd = commit.indexOf('\n\n');
  if (headersEnd < 0) return undefined;
  const kept: string[] = [];
  let signature: string[] | undefined;
  let inside = false;
  for (const line of commit.subarray(0, headersEnd).toString('latin1').split('\n')) {
    if (line.startsWith(' ') && inside) signature?.push(line.slice(1));
    else if (line.startsWith('gpgsig ')) {
      if (signature !== undefined) return undefined;
      signature = [line.slice('gpgsig '.length)];
      inside = true;
    } else {
      inside = false;
      kept.push(line);
    }
  }
  if (signature === undefined) return undefined;
  const payload = Buffer.concat([Buffer.from(kept.join('\n'), 'latin1'), commit.subarray(headersEnd)]);
  return { payload, signature: signature.join('\n').trim() };
}

function readSignature(armoured: string) {
  const body = armoured.slice(begin.length, armoured.lastIndexOf(end)).replaceAll(/\s/g, '');
  const read = reader(Buffer.from(body, 'base64'));
  if (read.bytes(6).toString('latin1') !== 'SSHSIG') throw new Error('it is no SSH signature');
  if (read.number() !== 1) throw new Error('it is of another version than 1');
  const blob = read.text();
  if (read.text().toString() !== namespace) throw new Error('it was made for something else than Git');
  read.text();
  const hashName = read.text().toString();
  if (hashName !== 'sha512' && hashName !== 'sha256') throw new Error(`its digest is ${hashName}`);
  const inner = reader(read.text());
  return { blob, hashName, algorithm: inner.text().toString(), signature: inner.text() } as const;
}

/** What is signed: not the commit but its digest, with what it is for. */
const signedData = (hashName: 'sha256' | 'sha512', payload: Buffer): Buffer =>
  Buffer.concat([Buffer.from('SSHSIG'), ...[namespace, '', hashName, hash(hashName, payload, 'buffer')].map(text)]);

function check(data: Buffer, blob: Buffer, algorithm: string, signature: Buffer): boolean {
  const type = keyType(blob);
  const read = reader(blob);
  read.text();
  if (type === 'ssh-ed25519' && algorithm === type)
    return verify(null, data, jwk({ kty: 'OKP', crv: 'Ed25519', x: base64url(read.text()) }), signature);
  const curve = curves[type];
  if (curve !== undefined && algorithm === type) {
    read.text();
    const point = read.text();
    const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)];
    const key = jwk({ kty: 'EC', crv: curve.name, x: base64url(x), y: base64url(y) });
    const numbers = reader(signature);
    const pair = [numbers.text(), numbers.text()].map((value) => padded(value, curve.bytes));
    return verify(curve.hash, data, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat(pair));
  }
  const digest = type === 'ssh-rsa' ? rsaHashes[algorithm] : undefined;
  if (digest === undefined) throw new Error(`keys of type ${type} with ${algorithm} are not understood`);
  const [e, n] = [unsigned(read.text()), unsigned(read.text())];
  if (n.length * 8 < leastRsaBits) throw new Error(`its RSA key has fewer than ${leastRsaBits} bits`);
  return verify(digest, data, jwk({ kty: 'RSA', n: base64url(n), e: base64url(e) }), signature);
}

const curves: Readonly<Record<string, { readonly name: string; readonly bytes: number; readonly hash: string }>> = {
  'ecdsa-sha2-nistp256': { name: 'P-256', bytes: 32, hash: 'sha256' },
  'ecdsa-sha2-nistp384': { name: 'P-384', bytes: 48, hash: 'sha384' },
  'ecdsa-sha2-nistp521': { name: 'P-521', bytes: 66, hash: 'sha512' },
};
/** `ssh-rsa` itself, with SHA-1, is refused by OpenSSH too. */
const rsaHashes: Readonly<Record<string, string>> = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' };

const jwk = (key: Record<string, string>): KeyObject => createPublicKey({ key, format: 'jwk' });
const base64url = (bytes: Buffer) => bytes.toString('base64url');
const keyType = (blob: Buffer) => reader(blob).text().toString('latin1');
const isSame = (a: Buffer, b: Buffer) => a.length === b.length && timingSafeEqual(a, b);

/** SSH writes integers with a zero in front where the first bit is set. */
const unsigned = (bytes: Buffer) => bytes.subarray(bytes.findIndex((byte) => byte !== 0));
function padded(bytes: Buffer, length: number): Buffer {
  const plain = unsigned(bytes);
  return Buffer.concat([Buffer.alloc(Math.max(0, length - plain.length)), plain]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
const text = (value: string | Buffer): Buffer => Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)]);

/** Reads the fields of SSH's wire format one after the other; throws where they end too soon. */
function reader(bytes: Buffer) {
  let at = 0;
  const take = (count: number): Buffer => {
    if (at + count > bytes.length) throw new Error('it ends too soon');
    at += count;
    return bytes.subarray(at - count, at);
  };
  const readNumber = () => take(4).readUInt32BE(0);
  return { bytes: take, number: readNumber, text: () => take(readNumber()) };
}
