import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { ApiObject, App, Chart } from 'cdk8s';
import { stringify } from 'yaml';
import { loadEnvironment } from '#environments/load.ts';
import { parseManifests } from '#synth/manifests.ts';
import { render } from '#synth/render.ts';
import { figure, median, printTable, summarise, timeEach } from './measure.ts';

/** `npm run bench -- synth`: what one project costs, beside the least that its objects cost in other ways. */
const golden = new URL('../golden/', import.meta.url);
const runs = process.argv.includes('--full') ? 400 : 60;

const inputs = readdirSync(golden, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('/project.yaml'))
  .sort()
  .map((path) => {
    const name = dirname(path);
    const folder = dirname(name);
    const yaml = readFileSync(new URL(`${folder}/environment.yaml`, golden));
    const environment = loadEnvironment(folder, yaml);
    const spec = readFileSync(new URL(path, golden));
    const input = { environment, spec, key: { environment: folder, team: 'atlas', project: basename(name) } };
    return { name, input, objects: parseManifests(render(input).manifests) };
  });

/** The same objects through cdk8s and nothing else: no spec, no rules, no constructs of cdk8s-plus. */
function plainObjects(objects: (typeof inputs)[number]['objects']): unknown {
  const chart = new Chart(new App({ outdir: '.' }), 'project', { disableResourceNameHashes: true });
  for (const [index, { apiVersion, kind, metadata, ...rest }] of objects.entries())
    new ApiObject(chart, `o${index}`, { apiVersion, kind, metadata, ...rest });
  return chart.toJson();
}

/** Each project's time in every way, the ways in turn, so that what else the machine does falls on all. */
const ways = {
  render: ({ input }) => render(input),
  ApiObject: ({ objects }) => plainObjects(objects),
  YAML: ({ objects }) => objects.map((object) => stringify(object)).join('---\n'),
  JSON: ({ objects }) => JSON.stringify(objects),
} satisfies Record<string, (one: (typeof inputs)[number]) => unknown>;

const times: Record<string, number[][]> = {};
for (let round = 0; round < 3; round++)
  for (const [way, make] of Object.entries(ways))
    for (const [index, one] of inputs.entries()) {
      const taken = await timeEach(() => make(one), { count: Math.ceil(runs / 3), warmUps: round === 0 ? 15 : 0 });
      times[way] ??= inputs.map(() => []);
      times[way][index]?.push(...taken);
    }

const of = (way: string, index: number) => times[way]?.[index] ?? [];
printTable(
  ['golden project, ms', 'objects', 'render p50', 'p99', 'ApiObject', 'YAML', 'JSON', 'render/ApiObject'],
  inputs.map(({ name, objects }, index) => {
    const { p50, p99 } = summarise(of('render', index));
    const plain = median(of('ApiObject', index));
    const [yaml, json] = [median(of('YAML', index)), median(of('JSON', index))];
    return [name, String(objects.length), ...[p50, p99, plain, yaml, json, p50 / plain].map(figure)];
  }),
);
const perSecond = (way: string) => 1000 / median((times[way] ?? []).flat());
console.log(
  `projects a second, one after the other (median project): ${Object.keys(ways)
    .map((way) => `${way} ${figure(perSecond(way))}`)
    .join(', ')}`,
);
