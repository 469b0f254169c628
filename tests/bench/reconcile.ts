import { measureRate } from './reconcile/rate.ts';
import { goldenSpec } from './stand/projects.ts';

const smallest = goldenSpec('local/smallest');
const all = { spec: smallest, concurrency: 16, connections: 64, projects: 200 };
const asked = process.argv.slice(2);
const wants = (name: string) => asked.filter((a) => !a.startsWith('--')).length === 0 || asked.includes(name);

if (wants('plain')) {
  console.log('\n200 projects of 4 plain objects, objects a second');
  await measureRate({ ...all, kind: 'plain', rounds: 5 });
}
if (wants('full')) {
  console.log('\n200 full projects, objects a second');
  await measureRate({ ...all, kind: 'full', rounds: 5 });
}
