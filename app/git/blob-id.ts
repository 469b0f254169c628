import { createHash } from 'node:crypto';
import type { ObjectType } from './answers.ts';

/** The id that Git gives to an object of this type and content. */
export function objectIdOf(type: ObjectType, content: Uint8Array): string {
  return createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
}

/** The id that Git gives to a blob of this content: what `Repository.blobId` answers once it is committed. */
export function blobIdOf(content: string | Uint8Array): string {
  return objectIdOf('blob', typeof content === 'string' ? Buffer.from(content) : content);
}
