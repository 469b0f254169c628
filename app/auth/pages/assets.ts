import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Express } from 'express';

const stylesheet = readFileSync(new URL('./pages.css', import.meta.url));
const digest = createHash('sha256').update(stylesheet).digest('hex').slice(0, 12);

/** With the digest of its content: a new version is a new address, so that browsers may keep it. */
export const stylesheetPath = `/assets/pages-${digest}.css`;

/** The stylesheet of the pages. It is the same for everybody and changes nothing, so it is no row of the contract. */
export function mountPageAssets(app: Express): void {
  app.get(stylesheetPath, (_request, response) => {
    response.setHeader('Content-Type', 'text/css; charset=utf-8');
    response.setHeader('Cache-Control', 'public, max-age=31536000, immutable');
    response.end(stylesheet);
  });
}
