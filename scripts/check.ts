import { runGates } from './check/gate.ts';
import { gates } from './check/gates.ts';

/** `npm run check`: what must hold of the whole repository, without the tests. */
const outcomes = await runGates(gates, console.log);
const failed = outcomes.filter(({ findings }) => findings.length > 0);
console.log(`${outcomes.length - failed.length} gates passed, ${failed.length} failed`);
process.exit(failed.length === 0 ? 0 : 1);
