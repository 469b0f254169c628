import { createHash } from 'node:crypto';

/** The id that Git gives to a blob of this content: what `Repository.blobId` answers once it is committed. */
export function blobIdOf(content: string | Uint8Array): string {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}
