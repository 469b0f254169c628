export type ObjectType = 'blob' | 'tree' | 'commit' | 'tag';

export interface ObjectInfo {
  readonly id: string;
  readonly type: ObjectType;
  /** Bytes of the content. */
  readonly size: number;
}

export interface StoredObject extends ObjectInfo {
  readonly content: Buffer;
}

/** What came back for one question: undefined when there is no such object; without content when it is too large. */
export type Answer = StoredObject | (ObjectInfo & { readonly content: undefined }) | undefined;

const header = /^([0-9a-f]{40}) (blob|tree|commit|tag) (\d+)$/;
const noContent = Buffer.alloc(0);

/**
 * Cuts the output of `git cat-file --batch-command` into answers: a line, and after it the content and a line break
 * where `wantsContent` says that the oldest open question asked for it. Content of more than `mostBytes` passes by
 * without being held.
 */
export function createAnswers(options: {
  mostBytes: number;
  wantsContent(): boolean;
  answered(answer: Answer): void;
}): (chunk: Buffer) => void {
  let line: Buffer = noContent;
  let open: { readonly info: ObjectInfo; readonly chunks: Buffer[]; left: number } | undefined;

  const takeLine = (chunk: Buffer): Buffer => {
    const text = line.length === 0 ? chunk : Buffer.concat([line, chunk]);
    const end = text.indexOf(10);
    line = end < 0 ? text : noContent;
    if (end < 0) return noContent;
    const match = header.exec(text.toString('latin1', 0, end));
    const info = match && { id: match[1]!, type: match[2] as ObjectType, size: Number(match[3]) }; // by the pattern
    if (info === null) options.answered(undefined);
    else if (options.wantsContent()) open = { info, chunks: [], left: info.size + 1 };
    else options.answered({ ...info, content: noContent });
    return text.subarray(end + 1);
  };

  const takeContent = (chunk: Buffer, { info, chunks }: NonNullable<typeof open>): Buffer => {
    const part = chunk.subarray(0, open!.left); // it is the open one
    open!.left -= part.length;
    if (info.size <= options.mostBytes) chunks.push(part);
    if (open!.left > 0) return noContent;
    open = undefined;
    const content = info.size <= options.mostBytes ? Buffer.concat(chunks, info.size) : undefined;
    options.answered({ ...info, content } as Answer); // with or without content, both are answers
    return chunk.subarray(part.length);
  };

  return (chunk) => {
    for (let rest = chunk; rest.length > 0; ) rest = open === undefined ? takeLine(rest) : takeContent(rest, open);
  };
}
