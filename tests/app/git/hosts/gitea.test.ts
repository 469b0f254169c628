import { afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { CommitStatus } from '#git/git-host.ts';
import { createGitHost, type OpenGitHost } from '#git/git-host.ts';
import { describeWithGitea, type TestRepository } from '#support/gitea.ts';

describeWithGitea('a real Gitea', (gitea) => {
  let repository: TestRepository;
  let revision: string;
  const open: OpenGitHost[] = [];

  beforeAll(async () => {
    repository = await gitea().createRepository('state');
    const content = Buffer.from('hello').toString('base64');
    const { body } = await gitea().api('POST', `repos/${repository.name}/contents/README`, { content });
    revision = body.commit.sha;
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((host) => host.close()));
  });

  const host = (token = gitea().token, name = repository.name): OpenGitHost => {
    const credential = async () => new Secret(token);
    const made = createGitHost({
      kind: 'gitea',
      apiUrl: gitea().apiUrl,
      repository: name,
      credential,
      clock: systemClock,
    });
    open.push(made);
    return made;
  };
  const status = (state: CommitStatus['state'], more: Partial<CommitStatus> = {}): CommitStatus => ({
    revision,
    context: 'plinth/local/applied',
    state,
    description: `it is ${state}`,
    url: 'https://plinth.example.com/x',
    ...more,
  });
  const fault = async (asked: Promise<void>): Promise<Fault> => {
    const error = await asked.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!Fault.is(error)) throw new Error(`no fault but ${String(error)}`);
    return error;
  };

  test('shows each context with its last state', async () => {
    const api = host();
    await api.setStatus(status('pending'));
    await api.setStatus(status('pending', { context: 'plinth/local/healthy', url: undefined }));
    await api.setStatus(status('success'));
    await api.setStatus(status('failure', { context: 'plinth/local/healthy', description: 'ü\nß' }));
    const { body } = await gitea().api('GET', `repos/${repository.name}/commits/${revision}/status`);
    const shown = body.statuses.map((each: Record<string, string>) => [each.context, each.status, each.description]);
    expect(shown.sort()).toEqual([
      ['plinth/local/applied', 'success', 'it is success'],
      ['plinth/local/healthy', 'failure', 'ü ß'],
    ]);
    expect((await repository.statuses(revision)).length).toBe(4);
  });

  test('what it refuses is final and says the fix, never the credential', async () => {
    const wrong = '0'.repeat(40);
    const unknown = await fault(host(wrong).setStatus(status('pending')));
    expect([unknown.code, unknown.data.status]).toEqual(['GIT_HOST_REFUSED', 401]);
    expect(unknown.message).not.toContain(wrong);
    const reader = await gitea().createToken(['read:repository']);
    const forbidden = await fault(host(reader).setStatus(status('pending')));
    expect([forbidden.code, forbidden.data.status]).toEqual(['GIT_HOST_REFUSED', 403]);
    const elsewhere = await fault(host(gitea().token, 'plinth/other').setStatus(status('pending')));
    expect([elsewhere.code, elsewhere.data.status]).toEqual(['GIT_HOST_REFUSED', 404]);
    const missing = await fault(host().setStatus(status('pending', { revision: 'f'.repeat(40) })));
    // Gitea answers 500 to a commit that it does not have (yet): whoever pushes it a moment later is told then.
    expect([missing.code, missing.message]).toEqual(['GIT_HOST_UNAVAILABLE', expect.stringContaining('500')]);
  });

  test('away it is to be tried again, and back it takes what was not taken', async () => {
    const api = host();
    await gitea().stop();
    expect((await fault(api.setStatus(status('pending', { context: 'later' })))).code).toBe('GIT_HOST_UNAVAILABLE');
    await gitea().start();
    await api.setStatus(status('success', { context: 'later' }));
    expect((await repository.statuses(revision))[0]).toMatchObject({ context: 'later', status: 'success' });
  });
});
