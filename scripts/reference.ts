import { findStalePages, writePages } from './reference/pages.ts';

/** `npm run reference` writes the pages that are made from code; with `-- --check` it only says which are stale. */
const checking = process.argv.includes('--check');
const lines = await (checking ? findStalePages() : writePages());
for (const line of lines) console.log(line);
if (lines.length === 0) console.log('every page is as the code says');
const failed = checking ? lines.length > 0 : lines.some((line) => line.includes('cannot be made'));
process.exit(failed ? 1 : 0);
