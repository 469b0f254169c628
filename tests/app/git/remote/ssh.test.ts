import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { RemoteCredential, StateRemote } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { commit } from '#git/commit.ts';
import { openRepository } from '#git/repository.ts';
import { captureLog } from '#support/captured-log.ts';
import { git, newCommit } from '#support/git.ts';
import { describeUnless } from '#support/missing.ts';
import { type SshServer, useSshServer, whyNoSshServer } from '#support/ssh-server.ts';
import { temporaryDirectory } from '#support/temporary.ts';

type SshCredential = Extract<RemoteCredential, { kind: 'ssh' }>;

describeUnless(whyNoSshServer(), 'a remote over ssh', () => {
  async function begin() {
    const server = await useSshServer();
    const { path, remove } = temporaryDirectory('plinth-ssh');
    onTestFinished(remove);
    const bare = join(path, 'remote.git');
    await git(path, 'init', '--quiet', '--bare', '--initial-branch=main', bare);
    const log = captureLog();
    const open = async (more: Partial<SshCredential> = {}) => {
      const repository = await openRepository({
        directory: join(path, 'state.git'),
        branch: 'main',
        log: log.log,
        remote: settings(server, bare, more),
      });
      onTestFinished(() => repository.close());
      return repository;
    };
    return { server, path, bare, open, log };
  }

  const settings = (server: SshServer, bare: string, more: Partial<SshCredential>): StateRemote => ({
    url: `ssh://${server.user}@127.0.0.1:${server.port}${bare}`,
    scheme: 'ssh',
    host: '127.0.0.1',
    path: 'remote',
    provider: 'plain',
    apiUrl: undefined,
    credential: {
      kind: 'ssh',
      key: new Secret(server.key),
      keyFile: undefined,
      knownHosts: server.knownHosts,
      ...more,
    },
    caFile: undefined,
    pollMs: 60_000,
    pushesPerMinute: undefined,
    webhookSecret: undefined,
  });

  const write = async (repository: Awaited<ReturnType<typeof openRepository>>, text: string) =>
    (await commit(repository, { expected: await repository.tip(), commits: [newCommit({ 'a.txt': text })] }))[0];

  const faultOf = async (act: Promise<unknown>): Promise<Fault> => {
    const error = await act.then(
      () => undefined,
      (one: unknown) => one,
    );
    if (!Fault.is(error)) throw new Error(`not a fault: ${error}`);
    return error;
  };

  test("is read and written with one key; the files for it are nobody else's, and go with the end", async () => {
    const { path, bare, open } = await begin();
    const repository = await open();
    const tip = await write(repository, '1');
    expect(await git(bare, 'rev-parse', 'main')).toBe(tip);
    expect(await repository.remote?.fetch()).toBe(false);
    const folder = join(path, 'state.git.ssh');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder))
      expect([name, statSync(join(folder, name)).mode & 0o777]).toEqual([name, 0o600]);
    await repository.close();
    expect(readdirSync(path)).not.toContain('state.git.ssh');
  });

  test('a key in a file works too, whoever may read that', async () => {
    const { server, bare, open } = await begin();
    const repository = await open({ key: undefined, keyFile: server.keyFile });
    expect(await write(repository, '1')).toBe(await git(bare, 'rev-parse', 'main'));
  });

  test('a host key that is not pinned is refused, and one that changed too', async () => {
    const { server, open, log } = await begin();
    const unknown = await faultOf(
      open({ knownHosts: `elsewhere.example.com ${server.knownHosts.split(' ').slice(1).join(' ')}` }),
    );
    expect([unknown.code, unknown.message.includes('STATE_REPOSITORY_KNOWN_HOSTS')]).toEqual([
      'REMOTE_UNTRUSTED',
      true,
    ]);
    const repository = await open();
    await write(repository, '1');
    await server.changeHostKey();
    const changed = await faultOf(repository.remote!.fetch());
    expect(changed.code).toBe('REMOTE_UNTRUSTED');
    expect((await faultOf(write(repository, '2'))).code).toBe('REMOTE_UNTRUSTED');
    expect(log.text()).toContain('its host key is not among the ones that are pinned');
  });

  test('a key that is not let in is told as such, without the key', async () => {
    const { server, open, log } = await begin();
    const fault = await faultOf(open({ key: new Secret(server.otherKey) }));
    expect(fault.code).toBe('REMOTE_REFUSED');
    expect(fault.message).toContain('STATE_REPOSITORY_SSH_KEY');
    const inner = server.otherKey.split('\n')[2] ?? '';
    expect([fault.message, String(fault.cause), log.text()].join('\n')).not.toContain(inner);
  });
});
