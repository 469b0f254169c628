import { createHash, randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, crc32, deflate, deflateSync, type ZlibOptions } from 'node:zlib';
import { syncFolder } from './locks.ts';

/** An object that is to be written. */
export interface NewObject {
  readonly id: string;
  readonly type: 'commit' | 'tree' | 'blob';
  readonly content: Uint8Array;
}

const typeNumbers = { commit: 1, tree: 2, blob: 3 } as const;
/** Content above this is compressed by another thread, so that large manifests do not hold up everything else. */
const mostSyncBytes = 8192;
const deflateElsewhere = promisify<Uint8Array, ZlibOptions, Buffer>(deflate);

/**
 * Writes objects as one pack with its index (gitformat-pack, version 2, no deltas) and returns when both are on the
 * disk: two files to sync however many objects there are. git sees the pack once its index is there, so it appears
 * whole or not at all; housekeeping later joins packs and finds the deltas.
 */
export async function writePack(directory: string, objects: readonly NewObject[]): Promise<void> {
  const folder = join(directory, 'objects/pack');
  const entries = await Promise.all(objects.map(encode));
  const head = Buffer.alloc(12);
  head.write('PACK');
  head.writeUInt32BE(2, 4);
  head.writeUInt32BE(objects.length, 8);
  const body = [head, ...entries];
  const checksum = sha1(body);
  const index = indexOf(objects, entries, head.length, checksum);
  const name = join(folder, `pack-${checksum.toString('hex')}`);
  // git takes everything that ends in .pack or .idx for its own, so these do not.
  const packPart = join(folder, `tmp_pack_${randomUUID()}`);
  const indexPart = join(folder, `tmp_idx_${randomUUID()}`);
  try {
    await Promise.all([writeSynced(packPart, [...body, checksum]), writeSynced(indexPart, [...index, sha1(index)])]);
    await rename(packPart, `${name}.pack`);
    await rename(indexPart, `${name}.idx`);
  } catch (error) {
    for (const file of [packPart, indexPart]) await rm(file, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Type and size in groups of seven bits (the first of four), then the compressed content. */
async function encode({ type, content }: NewObject): Promise<Buffer> {
  const head: number[] = [];
  let rest = Math.floor(content.length / 16);
  let group = (typeNumbers[type] << 4) | (content.length % 16);
  for (; rest > 0; rest = Math.floor(rest / 128)) {
    head.push(group | 128);
    group = rest % 128;
  }
  head.push(group);
  // Trees are mostly ids, which do not shrink: no time is spent on them.
  const options = { level: type === 'tree' ? constants.Z_BEST_SPEED : constants.Z_DEFAULT_COMPRESSION };
  const packed =
    content.length > mostSyncBytes ? await deflateElsewhere(content, options) : deflateSync(content, options);
  return Buffer.concat([Uint8Array.from(head), packed]);
}

/** Ids in order, with a table of how many begin with at most each byte; checksums and offsets in the same order. */
function indexOf(objects: readonly NewObject[], entries: readonly Buffer[], start: number, packChecksum: Buffer) {
  let end = start;
  const rows = objects.map(({ id }, i) => {
    const entry = entries[i]!; // one for each object
    end += entry.length;
    return { id, crc: crc32(entry), offset: end - entry.length };
  });
  // Offsets here have 31 bits; what a batch writes is far below.
  if (end >= 2 ** 31) throw new RangeError('a pack of 2 GiB and more cannot be written');
  rows.sort((a, b) => (a.id < b.id ? -1 : 1));
  const firstBytes = rows.map(({ id }) => Number.parseInt(id.slice(0, 2), 16));
  const words = (values: number[]) => {
    const buffer = Buffer.alloc(values.length * 4);
    for (const [i, value] of values.entries()) buffer.writeUInt32BE(value, i * 4);
    return buffer;
  };
  const magic = Uint8Array.of(0xff, 0x74, 0x4f, 0x63, 0, 0, 0, 2);
  const fan = words(Array.from({ length: 256 }, (_, byte) => upTo(firstBytes, byte)));
  const ids = Buffer.from(rows.map(({ id }) => id).join(''), 'hex');
  return [magic, fan, ids, words(rows.map(({ crc }) => crc)), words(rows.map(({ offset }) => offset)), packChecksum];
}

/** How many of the ordered numbers are at most `most`. */
function upTo(ordered: readonly number[], most: number): number {
  const index = ordered.findIndex((value) => value > most);
  return index < 0 ? ordered.length : index;
}

function sha1(parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

async function writeSynced(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const handle = await open(file, 'wx', 0o444);
  try {
    await handle.writeFile(Buffer.concat(parts));
    await handle.sync();
  } finally {
    await handle.close();
  }
}
