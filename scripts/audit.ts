import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { AuditHead } from '#audit/chain.ts';
import { exportAudit } from '#audit/read.ts';
import { verifyAudit } from '#audit/verify.ts';
import { loadSettings, readEnvFile } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import type { Database } from '#database/pool.ts';
import { openDatabase } from './database.ts';

const usage = `usage: npm run audit -- verify [--anchor <number>:<hash>]
       npm run audit -- export [--since <time>] [--until <time>] [--actor <id or name>]

verify reads the whole chain and names the first record that was changed, removed, put in or moved. It prints the end
of the chain as <number>:<hash>; noted down elsewhere and given as --anchor, it also shows a chain that was written
anew. Exit 1: the chain is broken, or cannot be read.
export writes the records as JSON lines, from the oldest. Times are ISO 8601, such as 2026-01-31T00:00:00Z.
The database is that of DATA_DIR or DATABASE_URL, whether Plinth runs or not.`;

/** A mistake in how the command was called. */
class Misuse extends Error {}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      anchor: { type: 'string' },
      since: { type: 'string' },
      until: { type: 'string' },
      actor: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const [verb] = positionals;
  if (positionals.length !== 1 || (verb !== 'verify' && verb !== 'export')) throw new Misuse(usage);
  const anchor = values.anchor === undefined ? undefined : anchorOf(values.anchor);
  const filter = { actor: values.actor, since: timeOf(values.since), until: timeOf(values.until) };
  const { config } = loadSettings({ env: process.env, envFile: readEnvFile(process.cwd()) });
  const opened = await openDatabase(config);
  try {
    if (verb === 'verify') return await verify(opened.database, anchor);
    for await (const lines of exportAudit(opened.database, filter)) write(lines);
    return 0;
  } finally {
    await opened.close();
  }
}

async function verify(database: Database, anchor: AuditHead | undefined): Promise<number> {
  const began = performance.now();
  const { rows, head, break: found } = await verifyAudit(database, anchor === undefined ? {} : { anchor });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  if (found === undefined) {
    console.log(`The audit is whole: ${rows} records in ${seconds} s.`);
    console.log(`It ends with ${head.count}:${head.hash.toString('hex')}`);
    return 0;
  }
  const id = found.id === undefined ? '' : ` (${found.id})`;
  console.error(`The audit is broken at record ${found.seq}${id}, ${found.kind}: ${found.why}.`);
  console.error(`${rows} records before that were read and are whole.`);
  return 1;
}

function anchorOf(text: string): AuditHead {
  const [, count, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (count === undefined || hash === undefined)
    throw new Misuse(`--anchor ${text}: wanted is the last line of verify, such as 1234:9f86…`);
  return { count: Number(count), hash: Buffer.from(hash, 'hex') };
}

function timeOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw new Misuse(`${text} is no time such as 2026-01-31T00:00:00Z`);
  return time;
}

/** Waits for whoever reads, so that memory stays bounded; a reader that left (`| head`) ends the command. */
function write(text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException; // a system call's
      if (code === 'EPIPE') process.exit(0);
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const isMisuse = error instanceof Misuse || (error instanceof TypeError && 'code' in error); // parseArgs
  console.error(Fault.is(error) || isMisuse ? (error as Error).message : error);
  process.exitCode = 1;
}
