import { join } from 'node:path';
import { expect } from 'vitest';
import { admin, type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { type Front, startFront } from '#support/front.ts';
import { temporaryDirectory } from '#support/temporary.ts';

export interface Account {
  readonly email: string;
  readonly password: string;
}

/** A control plane of its own with a project beside it, as browsers see them: by names, behind one door. */
export interface Place {
  readonly front: Front;
  /** Host names, as the front serves them. */
  readonly plinth: string;
  readonly project: string;
  /** Where the pages are. */
  readonly origin: string;
  /** Past the front, for looking what is so. */
  readonly controlPlane: ControlPlane;
  readonly administrator: Account;
  /** Makes an account, as an administrator does. */
  person(email: string, role?: string): Promise<Account>;
  close(): Promise<void>;
}

export interface PlaceOptions {
  readonly tls?: boolean;
  /** Its host; projects are below `apps.` of it. */
  readonly plinth?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

const password = 'nine orange kayaks';

/** Starts it, without a cluster. */
export async function startPlace({
  tls = false,
  plinth = 'plinth.example.test',
  settings,
}: PlaceOptions = {}): Promise<Place> {
  const directory = temporaryDirectory('plinth-browser');
  const front = await startFront({ tls });
  const origin = front.origin(plinth);
  const controlPlane = await startControlPlane({
    dataDirectory: join(directory.path, 'data'),
    environment: { FRONTEND_URL: origin, APP_DOMAIN: plinth, TRUSTED_PROXIES: '127.0.0.1', ...settings },
  });
  front.serve(plinth, Number(new URL(controlPlane.url).port));
  return {
    front,
    plinth,
    project: `web--evil.apps.${plinth}`,
    origin,
    controlPlane,
    administrator: admin,
    person: async (email, role = 'editor') => {
      const made = await controlPlane.request('POST', '/api/v1/users', { email, name: 'Ada', role, password });
      expect(made.status, made.text).toBe(201);
      return { email, password };
    },
    close: async () => {
      await controlPlane.stop();
      await front.close();
      directory.remove();
    },
  };
}
