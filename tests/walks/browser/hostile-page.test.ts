import { describe } from 'vitest';
import { describeInBrowser } from '#support/browser.ts';
import { missingTls } from '#support/front.ts';
import { describeUnless } from '#support/missing.ts';
import { hostilePageTests } from './hostile-page.ts';
import { startPlace } from './place.ts';

describeInBrowser('a hostile page of a project', (browser) => {
  // Plain HTTP and a real name: the browser sends no Sec-Fetch-Site, and cookies have no prefix.
  describe('over HTTP', () => hostilePageTests(browser, () => startPlace()));
  // As on a laptop: a name that browsers trust without TLS, and that no cookie can be set for from below.
  describe('over HTTP on localhost', () => hostilePageTests(browser, () => startPlace({ plinth: 'localhost' })));
  // As in production: cookies with the prefix __Host-.
  describeUnless(missingTls(), 'over TLS', () => hostilePageTests(browser, () => startPlace({ tls: true })));
});
