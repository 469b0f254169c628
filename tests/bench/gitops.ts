import type { StateRemote } from '#base/config.ts';
import { openRemoteHost } from '#support/git-remote.ts';
import { mebibytes, readMemory } from './gitops/memory.ts';
import { measureFirstRow } from './gitops/neighbour.ts';
import { changeOneInMany, type OneInMany } from './gitops/one-in-many.ts';
import { loseWatches, resync } from './gitops/resync.ts';
import { objectsEach, type Scale, startScale } from './gitops/scale.ts';
import { type Start, timeStart } from './gitops/start.ts';
import { figure, median, printComparison, printTable, printTimes, summarise } from './measure.ts';
import { measureSize } from './publish/size.ts';
import { timeHeals } from './stand/heal.ts';
import { routedSpec } from './stand/projects.ts';
import { measureRate } from './stand/rate.ts';

/**
 * `npm run bench -- gitops [section …]`: the table of issue 5, every line beside its bound in the same run. Without
 * `--full` the sizes are cut down so that a section takes three minutes at most; `--full` has the sizes.
 */
const sections = ['plain', 'full', 'neighbour', 'one-in-many', 'no-op', 'heal', 'memory', 'start', 'commits'] as const;
type Section = (typeof sections)[number];
const asked = process.argv.slice(2);
const whole = asked.includes('--full');
const named = sections.filter((name) => asked.includes(name));
const wants = (...names: readonly Section[]) => named.length === 0 || names.some((name) => named.includes(name));

const rounds = whole ? 5 : 3;
/** Projects of the sections about many of them. The second is where there are 10,000 objects. */
const sizes = whole ? [100, 1_000, 2_500, 10_000] : [100, 1_000, 2_500];
const objectsWanted = 10_000;
const changes = whole ? 200 : 60;
// As app/loops.ts and app/runtime/kubernetes/client.ts have them.
const like = { spec: routedSpec, concurrency: 64, connections: 64, rounds };

const seconds = (ms: number) => figure(ms / 1000);
const title = (text: string) => console.log(`\n${text}`);

if (wants('plain')) await measurePlain();
if (wants('full')) await measureFull();
if (wants('plain', 'neighbour')) await measureHealthy();
if (wants('one-in-many', 'no-op', 'heal', 'memory', 'start')) await measureMany();
if (wants('commits')) await measureCommits();

async function measurePlain(): Promise<void> {
  const projects = 1_000;
  title(`${projects} projects of 4 plain objects, objects a second; wanted: at least 80 %`);
  await measureRate({ ...like, kind: 'plain', projects });
}

async function measureFull(): Promise<void> {
  const projects = whole ? 1_000 : 400;
  title(`${projects} full projects, objects a second; wanted: at least 80 %`);
  await measureRate({ ...like, kind: 'full', projects });
}

/** The first row with everything going on that goes on in a cluster, and a neighbour. */
async function measureHealthy(): Promise<void> {
  const projects = 1_000;
  const scale = await startScale(projects * rounds, 'all');
  try {
    const row = await measureFirstRow(scale, projects, rounds);
    title(`${projects} projects of 4 plain objects, one push → all applied and healthy; wanted: at most 20 s`);
    printTable(
      ['s', 'median', 'worst'],
      [
        [
          'Plinth, applied, recorded and healthy',
          seconds(median(row.healthyMs)),
          seconds(summarise(row.healthyMs).most),
        ],
        ['bare loop, requests only', seconds(median(row.bareMs)), seconds(summarise(row.bareMs).most)],
      ],
    );
    title('another client at the API server meanwhile; wanted: p99 at most 2 times its idle p99');
    printTimes([
      { name: 'idle', times: row.idle },
      { name: 'while Plinth applies', times: row.during },
      { name: 'while the bare loop applies', times: row.duringBare },
    ]);
    console.log(`p99 is ${figure(summarise(row.during).p99 / summarise(row.idle).p99)} times its idle p99`);
  } finally {
    await scale.stop();
  }
}

/** Everything about many projects, on one installation that grows. */
async function measureMany(): Promise<void> {
  const most = sizes.at(-1) ?? 0;
  const scale = await startScale(most);
  const changed: OneInMany[] = [];
  try {
    for (const size of sizes) {
      const ms = await scale.grow(size);
      console.log(`\n${size} projects stand after ${seconds(ms)} s`);
      if (wants('one-in-many')) {
        changed.push(await changeOneInMany(scale, changes));
        printChanges(changed);
      }
      if (size * objectsEach === objectsWanted) {
        if (wants('no-op')) await measureNoOp(scale);
        if (wants('heal')) await measureHeal(scale);
      }
    }
    if (wants('memory')) await measureMemory(scale);
    if (wants('start')) await measureStart(scale);
  } finally {
    await scale.stop();
  }
}

function printChanges(changed: readonly OneInMany[]): void {
  title('one project changed, push → applied, ms; wanted: p99 at most 1000, calls and processor time flat within 20 %');
  printTable(
    ['projects', 'p50', 'p99', 'bare p50', 'bare p99', 'calls a change', 'processor ms a change'],
    changed.map(({ projects, times, bound, calls, processorMs }) => [
      String(projects),
      ...[summarise(times).p50, summarise(times).p99, summarise(bound).p50, summarise(bound).p99].map(figure),
      figure(calls),
      figure(processorMs),
    ]),
  );
}

async function measureNoOp(scale: Scale): Promise<void> {
  const { objects, runs, calls, writes, ms, processorMs } = await resync(scale);
  title(`everything of ${objects} objects looked at again; wanted: 0 calls an object`);
  printTable(
    ['reconciles', 'calls', 'rows written', 's', 'processor s'],
    [[String(runs), String(calls), String(writes), seconds(ms), seconds(processorMs)]],
  );
  const lost = await loseWatches(scale);
  title('every watch lost with the API server; wanted: one list a kind, nothing else');
  const most = Math.max(0, ...lost.listings.values());
  console.log(
    `${lost.listings.size} kinds listed, at most ${most} times each, ${lost.looks} looks at one object, ` +
      `${lost.others.length} other requests, ` +
      `seen again ${seconds(lost.ms)} s after the API server was back`,
  );
  for (const [kind, count] of lost.listings) if (count > 1) console.log(`  ${kind}: ${count} lists`);
  for (const other of lost.others.slice(0, 10)) console.log(`  ${other}`);
}

async function measureHeal(scale: Scale): Promise<void> {
  const targets = scale.projects().map((key) => scale.project(key));
  const heals = await timeHeals(scale.bench, scale.watch(), targets, whole ? 500 : 200);
  const bound = await timeHeals(scale.bench, scale.watch(), scale.bare, 100, (target) => scale.applyBare(target));
  title(`foreign edit → restored at ${targets.length * objectsEach} objects; wanted: p99 at most 500`);
  printTimes([
    { name: 'Plinth', times: heals },
    { name: 'who knows of it beforehand, the bound', times: bound },
  ]);
}

async function measureMemory(scale: Scale): Promise<void> {
  const quietMs = whole ? 60_000 : 20_000;
  const grown = await readMemory(scale, quietMs);
  await scale.stopPlane();
  await scale.startPlane();
  const started = await readMemory(scale, quietMs);
  const empty = await startScale(1);
  const nothing = await readMemory(empty, 5_000).finally(() => empty.stop());
  title(`memory at ${grown.objects} objects, MiB; wanted: at most 350 of 40,000 objects`);
  const row = (name: string, { resident, heap, objects }: typeof grown) => [
    name,
    mebibytes(resident),
    mebibytes(heap),
    objects === 0 ? '' : figure((heap - nothing.heap) / objects),
  ];
  printTable(
    ['', 'resident', 'heap used', 'heap bytes an object'],
    [row('with nothing', nothing), row('after all of them were applied', grown), row('after a start', started)],
  );
}

async function measureStart(scale: Scale): Promise<void> {
  const starts: Start[] = [];
  for (let round = 0; round < rounds; round++) starts.push(await timeStart(scale));
  title(`start at ${scale.projects().length * objectsEach} objects, s; wanted: first right decision at most 10`);
  const row = (name: string, of: (start: Start) => number) => {
    const all = starts.map(of);
    return [name, seconds(median(all)), seconds(summarise(all).most)];
  };
  printTable(
    ['', 'median', 'worst'],
    [
      row('start → what changed meanwhile is right again', ({ decidedMs }) => decidedMs),
      row('start → everything looked at', ({ settledMs }) => settledMs),
      row('bytes of a listing alone, by the bench', ({ listedMs }) => listedMs),
      row('processor time of the controller', ({ processorMs }) => processorMs),
    ],
  );
}

async function measureCommits(): Promise<void> {
  await commitInto('the embedded repository');
  const host = await openRemoteHost();
  await commitInto('a bare repository behind HTTP', host.settings()).finally(() => host.remove());
}

async function commitInto(place: string, remote?: StateRemote): Promise<void> {
  const projects = whole ? 10_000 : 1_000;
  const { commits, single } = await measureSize({
    projects,
    rounds,
    changes: whole ? 1000 : 300,
    singles: whole ? 300 : 100,
    ...(remote === undefined ? {} : { remote }),
  });
  title(`commits a second into ${place} of ${projects} projects, in groups; wanted: at least 300`);
  printComparison('publish', 'fast-import', commits);
  title('one change alone, ms; wanted: p50 at most 40');
  printTimes([
    { name: 'publish', times: single.publish },
    { name: 'fast-import', times: single.bare },
  ]);
}
