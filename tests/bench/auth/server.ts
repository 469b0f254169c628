import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Dispatcher } from 'undici';

/** What the process of the server says of itself. */
export interface Told {
  readonly url: string;
  readonly token: Record<string, string>;
  readonly session: Record<string, string>;
}

/** The server that is measured, in a process of its own. */
export async function startAuthServer() {
  const child = fork(fileURLToPath(new URL('./server.process.ts', import.meta.url)), { stdio: 'inherit' });
  const [told] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error('the server did not start'))),
  ])) as [Told];
  return {
    ...told,
    pid: child.pid ?? 0,
    /** A sign-in with a wrong password, each time for another account and from another address. */
    guess: (index: number, count: number): Dispatcher.RequestOptions => ({
      method: 'POST',
      path: '/api/auth/sign-in/email',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': `10.${index}.${count >> 8}.${count & 255}` },
      body: JSON.stringify({ email: `p${index}-${count}@example.com`, password: 'not the right one' }),
    }),
    stop: async () => {
      if (child.exitCode !== null) return;
      child.send('stop');
      await once(child, 'exit');
    },
  };
}
