import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';

/** What the pre-receive hook hands over. */
export interface HookRequest {
  readonly updates: readonly { readonly before: string; readonly after: string; readonly ref: string }[];
  /** The environment in which git sees the pushed objects, which no one else sees yet. */
  readonly quarantine: Readonly<Record<string, string>>;
}

export interface Verdict {
  readonly accepted: boolean;
  /** Lines for the pusher's terminal. */
  readonly lines: readonly string[];
}

const mostUpdates = 1000;
const update = /^update ([0-9a-f]{40}) ([0-9a-f]{40}) (.+)$/;

/**
 * Talks with hook/pre-receive over the descriptor that git's processes inherit. Nothing is said before the hook has
 * said everything; a channel that ends early was a push that git refused by itself.
 */
export async function answerHook(channel: Duplex, judge: (request: HookRequest) => Promise<Verdict>): Promise<void> {
  channel.on('error', () => {});
  const said = new Map<string, string>();
  const updates: { before: string; after: string; ref: string }[] = [];
  for await (const line of createInterface({ input: channel })) {
    const match = update.exec(line);
    if (match !== null && updates.length < mostUpdates)
      updates.push({ before: match[1]!, after: match[2]!, ref: match[3]! }); // by the pattern
    const space = line.indexOf(' ');
    if (match === null && space > 0) said.set(line.slice(0, space), line.slice(space + 1));
    if (line === 'end') {
      const quarantine = {
        GIT_OBJECT_DIRECTORY: said.get('objects') ?? '',
        GIT_ALTERNATE_OBJECT_DIRECTORIES: said.get('alternates') ?? '',
      };
      const { accepted, lines } = await judge({ updates, quarantine });
      const text = lines.map((reason) => `say ${printable(reason)}\n`).join('');
      channel.write(`${text}${accepted ? 'accept' : 'refuse'}\n`);
    }
  }
}

/** What comes from a push must not steer the terminal that shows it. */
const printable = (text: string) =>
  text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '?').slice(0, 1000);
