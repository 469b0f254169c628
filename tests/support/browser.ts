import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { describeUnless } from './missing.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome'];

/** Path of a browser that is on PATH. */
function findChromium(path = process.env.PATH ?? ''): string | undefined {
  for (const folder of path.split(delimiter))
    for (const name of names) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not this one.
      }
    }
  return undefined;
}

/** Why tests in a browser cannot run here. @throws in CI on Linux, where one can be installed */
function missingBrowser(): string | undefined {
  if (findChromium() !== undefined) return undefined;
  const reason = `needs a browser: none of ${names.join(', ')} is on PATH`;
  if (process.env.CI === 'true' && process.platform === 'linux')
    throw new Error(`CI must have a browser, but: ${reason}`);
  return reason;
}

/** A browser of a suite. Its fields are there in hooks and tests only. */
export interface TestBrowser {
  /** A person's browser with nothing in it; closed after the test. */
  open(options?: BrowserContextOptions): Promise<BrowserContext>;
}

/**
 * A suite in Chromium, in which every name below `example.test` is this machine, so that hosts have names as in real
 * life. Certificates are not looked at.
 */
export function describeInBrowser(name: string, tests: (browser: TestBrowser) => void): void {
  describeUnless(missingBrowser(), name, () => {
    let browser: Browser | undefined;
    const open: BrowserContext[] = [];
    beforeAll(async () => {
      browser = await launchBrowser();
    });
    afterEach(async () => {
      for (const context of open.splice(0)) await context.close();
    });
    afterAll(async () => {
      await browser?.close();
    });
    tests({
      open: async (options) => {
        if (browser === undefined) throw new Error('the browser is there in hooks and tests only');
        const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
        // Nothing of these tests takes longer, and a test that hangs says where.
        context.setDefaultTimeout(10_000);
        open.push(context);
        return context;
      },
    });
  });
}

/** Chromium without a window. */
function launchBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('there is no browser');
  return chromium.launch({
    executablePath,
    // Its sandbox cannot start as root, which is what CI runs as.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      '--host-resolver-rules=MAP *.example.test 127.0.0.1, MAP example.test 127.0.0.1',
      '--ignore-certificate-errors',
    ],
  });
}
