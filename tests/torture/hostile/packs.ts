import { createHash, randomBytes } from 'node:crypto';
import { deflateSync, gzipSync } from 'node:zlib';
import type { HostileCase, ObjectType, Planted, Planter } from './planter.ts';

const types: Readonly<Record<ObjectType | 'offset' | 'reference', number>> = {
  commit: 1,
  tree: 2,
  blob: 3,
  tag: 4,
  offset: 6,
  reference: 7,
};

/** The head of an object in a pack: its type and how large it says to be. */
function head(type: number, size: bigint): Buffer {
  const bytes: number[] = [];
  let left = size >> 4n;
  let byte = (type << 4) | Number(size & 15n);
  while (left > 0n) {
    bytes.push(byte | 128);
    byte = Number(left & 127n);
    left >>= 7n;
  }
  return Buffer.from([...bytes, byte]);
}

const entry = (type: keyof typeof types, content: Buffer, size = BigInt(content.length)): Buffer =>
  Buffer.concat([head(types[type], size), deflateSync(content, { level: 1 })]);

/** A pack of these entries; version, count and checksum are right unless they are said. */
function packOf(entries: readonly Buffer[], said: { version?: number; count?: number; sum?: Buffer } = {}): Buffer {
  const begin = Buffer.alloc(12);
  begin.write('PACK');
  begin.writeUInt32BE(said.version ?? 2, 4);
  begin.writeUInt32BE(said.count ?? entries.length, 8);
  const body = Buffer.concat([begin, ...entries]);
  return Buffer.concat([body, said.sum ?? createHash('sha1').update(body).digest()]);
}

const packet = (text: string) => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;

/** A push of `after` with this pack. */
const request = (p: Planter, after: string, pack: Buffer): Planted => ({
  body: Buffer.concat([
    Buffer.from(`${packet(`${p.tip} ${after} refs/heads/main\0report-status side-band-64k`)}0000`),
    pack,
  ]),
});

const missing = '1'.repeat(40);
const who = 'A <a@b.example> 1 +0000';
const commitOn = (p: Planter, tree: string) =>
  Buffer.from(`tree ${tree}\nparent ${p.tip}\nauthor ${who}\ncommitter ${who}\n\nx ${Math.random()}\n`);
const idOf = (type: ObjectType, content: Buffer) =>
  createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');

/** A commit whose tree nobody has. */
function orphan(p: Planter) {
  const content = commitOn(p, missing);
  return { id: idOf('commit', content), packed: entry('commit', content) };
}

/** A commit with a tree with one blob, the blob packed as said. */
function withBlob(p: Planter, packed: Buffer, id: string): Planted {
  const tree = Buffer.concat([Buffer.from('100644 a\0'), Buffer.from(id, 'hex')]);
  const content = commitOn(p, idOf('tree', tree));
  return request(p, idOf('commit', content), packOf([entry('commit', content), entry('tree', tree), packed]));
}

const at = (name: string, plant: HostileCase['plant']): HostileCase => ({
  name: `a pack: ${name}`,
  expected: 'refused',
  plant,
});

export const packCases: readonly HostileCase[] = [
  at('none at all', () => ({ body: Buffer.alloc(0) })),
  at('no request', () => ({ body: randomBytes(10_000) })),
  at('a packet that says to be longer than it is', () => ({ body: Buffer.from('fff0abc') })),
  at('a packet of length 1', () => ({ body: Buffer.from('0001') })),
  at('noise', (p) => request(p, missing, randomBytes(100_000))),
  at('only its begin', (p) => request(p, missing, Buffer.from('PACK'))),
  at('of nothing', (p) => request(p, missing, packOf([]))),
  at('of version 9', (p) => request(p, orphan(p).id, packOf([orphan(p).packed], { version: 9 }))),
  at('that says to hold four billion objects', (p) =>
    request(p, missing, packOf([orphan(p).packed], { count: 2 ** 32 - 1 })),
  ),
  at('with a wrong checksum', (p) => {
    const { id, packed } = orphan(p);
    return request(p, id, packOf([packed], { sum: Buffer.alloc(20) }));
  }),
  at('that is cut off', (p) => {
    const { id, packed } = orphan(p);
    return request(p, id, packOf([packed, entry('blob', randomBytes(50_000))]).subarray(0, 30_000));
  }),
  at('without the tree of its commit', (p) => {
    const { id, packed } = orphan(p);
    return request(p, id, packOf([packed]));
  }),
  at('without the blob of its tree', (p) => {
    const tree = Buffer.concat([Buffer.from('100644 a\0'), Buffer.from(missing, 'hex')]);
    const content = commitOn(p, idOf('tree', tree));
    return request(p, idOf('commit', content), packOf([entry('commit', content), entry('tree', tree)]));
  }),
  at('with a delta of nothing', (p) => {
    const delta = Buffer.concat([
      head(types.reference, 4n),
      Buffer.from(missing, 'hex'),
      deflateSync(Buffer.from([1, 1, 1, 0])),
    ]);
    return withBlob(p, delta, missing);
  }),
  at('with a delta of itself', (p) => {
    const delta = Buffer.concat([head(types.offset, 4n), Buffer.from([0]), deflateSync(Buffer.from([1, 1, 1, 0]))]);
    return withBlob(p, delta, missing);
  }),
  at('with a delta of before its begin', (p) => {
    const delta = Buffer.concat([
      head(types.offset, 4n),
      Buffer.from([0xff, 0xff, 0x7f]),
      deflateSync(Buffer.from([1, 1, 1, 0])),
    ]);
    return withBlob(p, delta, missing);
  }),
  at('with a blob that says to have a terabyte', (p) =>
    withBlob(p, entry('blob', Buffer.from('x'), 2n ** 40n), missing),
  ),
  at('with a blob that says to have 2^63 bytes', (p) =>
    withBlob(p, entry('blob', Buffer.from('x'), 2n ** 63n), missing),
  ),
  at('with a blob that is more than it says', (p) => withBlob(p, entry('blob', Buffer.alloc(1e7), 3n), missing)),
  at('with a commit of 200 MB', (p) => {
    const content = Buffer.concat([commitOn(p, missing), Buffer.alloc(2e8, 'x')]);
    return request(p, idOf('commit', content), packOf([entry('commit', content)]));
  }),
  at('with a tree of 200 MB of nothing', (p) => {
    const tree = Buffer.alloc(2e8);
    const content = commitOn(p, idOf('tree', tree));
    return request(p, idOf('commit', content), packOf([entry('commit', content), entry('tree', tree)]));
  }),
  at('of more than 64 MiB', (p) => {
    const noise = randomBytes(70 * 2 ** 20);
    return withBlob(p, entry('blob', noise), idOf('blob', noise));
  }),
  at('in a gzip of a gigabyte of zeros', () => ({
    body: gzipSync(Buffer.alloc(1e9), { level: 1 }),
    headers: { 'content-encoding': 'gzip' },
  })),
  at('in a gzip that is none', () => ({ body: randomBytes(1000), headers: { 'content-encoding': 'gzip' } })),
  at('by a request that says to be another', () => ({
    body: Buffer.from('0000'),
    headers: { 'content-type': 'text/html' },
  })),
];
