import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorKinds } from '#base/errors.ts';
import { repository } from '../check/source.ts';
import { envExample } from './env-example.ts';
import { errorsPage } from './errors-page.ts';
import { metricsPage } from './metrics-page.ts';
import { messageJsonSchema, notificationsPage } from './notifications-page.ts';
import { settingsPage } from './settings-page.ts';

/** A file of the repository that is made from code. */
interface Page {
  readonly path: string;
  make(): Promise<string> | string;
}

/** Every generated file. Whoever adds one adds a row; `npm run reference` writes them, the check compares them. */
const pages: readonly Page[] = [
  { path: 'reference/errors.md', make: () => errorsPage(errorKinds) },
  { path: 'reference/settings.md', make: settingsPage },
  { path: 'reference/metrics.md', make: metricsPage },
  { path: 'reference/notifications.md', make: notificationsPage },
  { path: '.env.example', make: envExample },
  { path: 'reference/openapi.json', make: openApiText },
  { path: 'schemas/project.schema.json', make: () => schemaText('project') },
  { path: 'schemas/notification.schema.json', make: () => jsonText(messageJsonSchema()) },
  { path: 'schemas/environment.schema.json', make: () => schemaText('environment') },
];

/** Writes every page that differs. @returns a line each: what was written, and what could not be made and why. */
export async function writePages(): Promise<readonly string[]> {
  const stale = await comparePages();
  return stale.map(({ path, text, fault }) => {
    if (text === undefined) return `${path} cannot be made: ${fault}`;
    mkdirSync(dirname(join(repository, path)), { recursive: true });
    writeFileSync(join(repository, path), text);
    return `wrote ${path}`;
  });
}

/** One line for each page that is not what the code says. */
export async function findStalePages(): Promise<readonly string[]> {
  const stale = await comparePages();
  return stale.map(({ path, fault }) =>
    fault === undefined
      ? `${path} is not what the code says; run npm run reference`
      : `${path} cannot be made: ${fault}`,
  );
}

interface StalePage {
  readonly path: string;
  /** What the code says, unless it cannot even be asked: then `fault` says why. */
  readonly text?: string;
  readonly fault?: string;
}

async function comparePages(): Promise<readonly StalePage[]> {
  const compared = pages.map(async ({ path, make }): Promise<StalePage | undefined> => {
    try {
      const text = await make();
      const file = join(repository, path);
      return existsSync(file) && readFileSync(file, 'utf8') === text ? undefined : { path, text };
    } catch (error) {
      return { path, fault: (error as Error).message };
    }
  });
  return (await Promise.all(compared)).filter((page) => page !== undefined);
}

/** Loaded only here: a room that cannot be loaded must not keep the other pages from being made. */
async function openApiText(): Promise<string> {
  const [{ openApiDocument }, { routes }] = await Promise.all([
    import('#contract/openapi.ts'),
    import('#contract/routes.ts'),
  ]);
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
  return jsonText(openApiDocument(routes, version));
}

async function schemaText(of: 'project' | 'environment'): Promise<string> {
  const { jsonSchemas } = await import('#synth/json-schema.ts');
  return jsonText(jsonSchemas()[of]);
}

const jsonText = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;
