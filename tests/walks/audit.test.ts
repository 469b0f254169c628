import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '#audit/canonical.ts';
import { Secret } from '#base/secret.ts';
import { clientConfig } from '#database/connection.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { createCanaries } from '#support/canaries.ts';
import { type Answer, admin, type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { git, runGit } from '#support/git.ts';
import { cloneState, type StateClone, stateUrl } from '#support/state-clone.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { endOf, eventually, projectPath, smallest } from '#support/walk.ts';

const directory = useTemporaryDirectory('plinth-audit');
const dataDirectory = join(directory, 'data');
const digest = /^sha256:[0-9a-f]{64}$/;
const other = smallest.replace('1.29', '1.30');

/** A record as the API shows it. */
type Recorded = Record<'before' | 'after', string | null> & { seq: number; id: string; hash: string };

describe('the audit', () => {
  let plinth: ControlPlane;
  let adminId: string;
  beforeAll(async () => {
    plinth = await startControlPlane({ dataDirectory });
    adminId = (await plinth.request('GET', '/api/v1/me')).body.id;
  });
  afterAll(async () => {
    await plinth?.stop();
  });
  const canaries = createCanaries();

  /** The newest record of this action. */
  const newest = async (action: string): Promise<Recorded> =>
    (await plinth.request('GET', `/api/v1/audit?action=${action}&limit=1`)).body.items[0];
  /** The record of an answered request: the newest one, and it names the request. */
  const recordOf = async (action: string, { headers }: Pick<Answer, 'headers'>): Promise<Recorded> => {
    const record = await newest(action);
    expect(record).toMatchObject({ requestId: headers.get('x-request-id'), address: '127.0.0.1' });
    return record;
  };
  const asAdmin = () => ({ id: adminId, name: admin.email, kind: 'user', credential: 'password' });

  test('of a project names who, what, from where, by which request; its digests are those of the spec', async () => {
    const path = projectPath('shop/web');
    const put = async (spec: string, query = '') => {
      const answer = await plinth.request('PUT', path + query, spec);
      const record = await recordOf('putProject', answer);
      if (answer.status === 202) await endOf(plinth, answer);
      return { answer, record };
    };
    const [one, two] = [smallest, other].map((spec) => digestOf(blobIdOf(spec)));
    const { answer, record } = await put(smallest);
    expect(record).toMatchObject({
      actor: asAdmin(),
      action: 'putProject',
      target: 'environments/local/projects/shop/web',
      outcome: 'done',
      status: 202,
      userAgent: expect.stringMatching(/./),
      before: null,
      after: one,
    });
    expect(answer.body.state).toBe('accepted');
    expect((await put(smallest)).record).toMatchObject({ before: one, after: one });
    expect((await put(other, '?dryRun=true')).record).toMatchObject({ status: 200, before: one, after: one });
    expect((await put(other)).record).toMatchObject({ before: one, after: two });

    const { revision } = (await plinth.request('GET', `/api/v1/changes/${answer.body.id}`)).body;
    const back = await plinth.request('POST', `${path}/rollback`, { revision });
    expect(await recordOf('rollbackProject', back)).toMatchObject({ before: two, after: one });
    await endOf(plinth, back);

    const held = await plinth.request('POST', `${path}/suspend`, { reason: 'looking' });
    const suspended = await recordOf('suspendProject', held);
    expect(suspended).toMatchObject({ before: null, after: expect.stringMatching(digest) });
    const resumed = await plinth.request('POST', `${path}/resume`);
    expect(await recordOf('resumeProject', resumed)).toMatchObject({ before: suspended.after, after: null });

    const gone = await plinth.request('DELETE', `${path}?confirm=shop/web`);
    expect(await recordOf('deleteProject', gone)).toMatchObject({ status: 202, before: one, after: null });
    await endOf(plinth, gone);
  });

  test.each([
    ['Secret', 'environments/local/projects/shop/web/secrets/key'],
    ['TeamSecret', 'teams/shop/secrets/key'],
    ['EnvironmentSecret', 'environments/local/secrets/key'],
    ['OrganizationSecret', 'secrets/key'],
  ])('of a secret knows that it changed, and not to what: put%s', async (kind, target) => {
    const path = `/api/v1/${target}`;
    const put = async () => {
      const answer = await plinth.request('PUT', path, { value: canaries.next() });
      expect(answer.status, answer.text).toBe(200);
      return recordOf(`put${kind}`, answer);
    };
    const first = await put();
    expect(first).toMatchObject({ actor: asAdmin(), target, outcome: 'done', before: null });
    expect(first.after).toMatch(digest);
    const second = await put();
    expect(second.before).toBe(first.after);
    expect(second.after).not.toBe(first.after);
    const gone = await recordOf(`delete${kind}`, await plinth.request('DELETE', path));
    expect(gone).toMatchObject({ target, before: second.after, after: null });
  });

  test('of people and what they may: each change follows upon the one before', async () => {
    const walk = async (action: string, method: string, path: string, body?: unknown) => {
      const answer = await plinth.request(method, `/api/v1/${path}`, body);
      expect(answer.status, answer.text).toBeLessThan(300);
      return { ...(await recordOf(action, answer)), body: answer.body };
    };
    const person = await walk('createUser', 'POST', 'users', { email: 'ada@example.com', name: 'Ada', role: 'viewer' });
    expect(person).toMatchObject({ target: `users/${person.body.id}`, before: null });
    const renamed = await walk('changeUser', 'PATCH', `users/${person.body.id}`, { role: 'editor' });
    expect([renamed.before, renamed.after === person.after]).toEqual([person.after, false]);

    const made = await walk('putTeam', 'PUT', 'teams/garden', { title: 'Garden' });
    expect(made).toMatchObject({ target: 'teams/garden', before: null });
    expect(await walk('putTeam', 'PUT', 'teams/garden', { title: 'Garden' })).toMatchObject({
      before: made.after,
      after: made.after,
    });
    const path = `teams/garden/members/${person.body.id}`;
    const member = await walk('putMember', 'PUT', path, { role: 'viewer' });
    const higher = await walk('putMember', 'PUT', path, { role: 'editor' });
    expect([member.before, higher.before, higher.after === member.after]).toEqual([null, member.after, false]);
    expect(await walk('deleteMember', 'DELETE', path)).toMatchObject({ after: null });
    expect(await walk('deleteTeam', 'DELETE', 'teams/garden')).toMatchObject({ target: 'teams/garden', after: null });

    const grants = { 'project:read': 'team' };
    const role = await walk('putRole', 'PUT', 'roles/reader', { about: '', grants });
    expect(await walk('deleteRole', 'DELETE', 'roles/reader')).toMatchObject({ before: role.after, after: null });
    const guest = { email: 'guest@example.com', role: 'viewer', send: 'link' };
    const invitation = await walk('createInvitation', 'POST', 'invitations', guest);
    expect(await walk('deleteInvitation', 'DELETE', `invitations/${invitation.body.id}`)).toMatchObject({
      before: invitation.after,
    });
    expect(await walk('deleteUser', 'DELETE', `users/${person.body.id}`)).toMatchObject({ before: renamed.after });
  });

  const secretTexts: string[] = [];
  const newToken = async (wish: object) => {
    const answer = await plinth.request('POST', '/api/v1/tokens', wish);
    expect(answer.status, answer.text).toBe(201);
    secretTexts.push(answer.body.token);
    return { answer, id: answer.body.id as string, token: answer.body.token as string };
  };

  test('of a token: made, refused what it may not, revoked', async () => {
    const { answer, id, token } = await newToken({ name: 'weak', scopes: ['project:read'] });
    const made = await recordOf('createToken', answer);
    expect(made).toMatchObject({ actor: asAdmin(), target: `tokens/${id}`, outcome: 'done', before: null });
    const authorization = `Bearer ${token}`;
    const denied = await plinth.request('PUT', projectPath('shop/other'), smallest, { authorization });
    expect(denied.status).toBe(403);
    expect(await recordOf('putProject', denied)).toMatchObject({
      actor: { id: adminId, name: 'token:weak', kind: 'user', credential: `token:${id}` },
      target: 'environments/local/projects/shop/other',
      outcome: 'denied',
      status: 403,
      before: null,
      after: null,
      detail: { code: 'FORBIDDEN' },
    });
    const revoked = await plinth.request('DELETE', `/api/v1/tokens/${id}`);
    expect(await recordOf('deleteToken', revoked)).toMatchObject({ target: `tokens/${id}`, before: made.after });
  });

  test('of sign-ins, those that failed too, and of what was done with the session', async () => {
    const signIn = async (email: string, password: string) => {
      const body = JSON.stringify({ email, password });
      const headers = { 'content-type': 'application/json', 'user-agent': 'a walk' };
      return fetch(`${plinth.url}/api/auth/sign-in/email`, { method: 'POST', headers, body });
    };
    const wrong = await signIn(admin.email, canaries.next());
    expect(wrong.status).toBe(401);
    const who = { id: adminId, name: admin.email, kind: 'user', credential: null };
    const facts = { actor: who, target: `people/${admin.email}`, userAgent: 'a walk' };
    expect(await recordOf('signIn', wrong)).toMatchObject({
      ...facts,
      outcome: 'failed',
      detail: { code: 'CREDENTIALS_WRONG' },
    });
    // What nobody's address is may be a password in the wrong field.
    const unknown = await signIn(`${canaries.next().replace(/[^\w.]/g, '')}@example.com`, canaries.next());
    expect(await recordOf('signIn', unknown)).toMatchObject({
      actor: { id: '', name: 'unknown', kind: 'anonymous' },
      target: 'people/unknown',
      outcome: 'failed',
    });
    const right = await signIn(admin.email, admin.password);
    expect(right.status).toBe(200);
    expect(await recordOf('signIn', right)).toMatchObject({ ...facts, outcome: 'done' });

    const jar = right.headers.getSetCookie().map((line) => line.split('; ')[0] ?? '');
    secretTexts.push(...jar.map((pair) => pair.slice(pair.indexOf('=') + 1)));
    const { csrfToken } = (await right.json()) as { csrfToken: string };
    const headers = { cookie: jar.join('; '), 'x-csrf-token': csrfToken, 'content-type': 'application/json' };
    const team = await fetch(`${plinth.url}/api/v1/teams/tools`, { method: 'PUT', headers, body: '{"title":""}' });
    expect(team.status, await team.text()).toBe(200);
    expect(await recordOf('putTeam', team)).toMatchObject({
      actor: { ...asAdmin(), credential: expect.stringMatching(/^session:./) },
      outcome: 'done',
    });
  });

  describe('of a push', () => {
    let clone: StateClone;
    const file = 'environments/local/shop/pushed/project.yaml';
    const fromGit = { target: 'git/state.git', address: '127.0.0.1', userAgent: expect.stringMatching(/^git\//) };
    const requestId = expect.stringMatching(/^req_/);
    /** The next record of the action: git ends with the answer, and the record of it may come just after. */
    const next = async (action: string, deed: () => Promise<void>): Promise<Recorded> => {
      const before = (await newest(action))?.seq;
      await deed();
      return await eventually(
        () => newest(action),
        (record) => record?.seq !== undefined && record.seq !== before,
      );
    };
    beforeAll(async () => {
      clone = await cloneState(plinth, join(directory, 'clone'));
    });

    test('that came in', async () => {
      const before = await clone.remoteTip();
      const record = await next('push', async () => {
        const pushed = await clone.push({ [file]: smallest });
        expect(pushed.code, pushed.stderr).toBe(0);
      });
      const after = await git(clone.directory, 'rev-parse', 'HEAD');
      expect(record).toMatchObject({
        ...{ ...fromGit, requestId, actor: asAdmin(), outcome: 'done' },
        ...{ before: digestOf(before), after: digestOf(after), detail: { revision: after } },
      });
    });

    test('that the check refused', async () => {
      // Plinth answers the push before with a commit of manifests: until it is there, git itself would refuse the next.
      const rendered = join(clone.directory, file.replace('project.yaml', 'manifests.yaml'));
      await eventually(async () => {
        await clone.reset();
        return existsSync(rendered);
      }, Boolean);
      const record = await next('push', async () => {
        expect((await clone.push({ [file]: 'containers: {}\n' })).code).toBe(1);
      });
      const after = await git(clone.directory, 'rev-parse', 'HEAD');
      expect(record).toMatchObject({
        ...{ ...fromGit, requestId, actor: asAdmin(), outcome: 'denied' },
        after: digestOf(after),
      });
      await clone.reset();
    });

    test('of a token that may not push at all, nor clone', async () => {
      const { id, token } = await newToken({ name: 'blind', scopes: ['project:read'] });
      const url = stateUrl(plinth, { email: 'token', password: token });
      const actor = { id: adminId, name: 'token:blind', credential: `token:${id}` };
      const denied = { ...fromGit, requestId, actor, outcome: 'denied', detail: { code: 'FORBIDDEN' } };
      const refused = async (...args: string[]): Promise<void> => {
        expect((await runGit(clone.directory, args)).stderr).toContain('403');
      };
      expect(await next('push', () => refused('push', url, 'HEAD:main'))).toMatchObject(denied);
      expect(await next('fetch', () => refused('ls-remote', url))).toMatchObject(denied);
    });
  });

  test('is one chain: API, table and `npm run audit -- verify` agree', async () => {
    const shown: Recorded[] = [];
    let after = '';
    do {
      const { items, next } = (await plinth.request('GET', `/api/v1/audit?limit=20${after}`)).body;
      shown.push(...items);
      after = next === null ? '' : `&after=${next}`;
    } while (after !== '');
    expect(shown.length).toBeGreaterThan(20);
    const rows = await sql<{ seq: number; id: string }>('select seq::int, id from audit order by seq desc');
    expect(shown.map(({ seq, id }) => ({ seq, id }))).toEqual(rows);
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => rows.length - index));
    const { code, said } = await verify();
    expect([code, said]).toEqual([0, expect.stringContaining(`The audit is whole: ${rows.length} records`)]);
    expect(said).toContain(`It ends with ${rows.length}:${shown[0]?.hash}`);
  });

  test('holds no secret value, token, cookie or password', async () => {
    const rows = await sql<{ row: string }>('select a::text as row from audit a');
    const text = rows.map(({ row }) => row).join('\n');
    expect(text).toContain('environments/local/projects/shop/web/secrets/key');
    expect(canaries.given).toBeGreaterThan(10);
    expect(canaries.findIn(text)).toEqual([]);
    expect(secretTexts.length).toBeGreaterThan(3);
    for (const secret of [...secretTexts, admin.password]) expect(text).not.toContain(secret);
  });

  test('that somebody changed by SQL is broken at that record', async () => {
    const { seq, id } = await newest('createToken');
    const rename = (name: string) => sql('update audit set actor_name = $2 where seq = $1 returning seq', [seq, name]);
    await rename('mallory@example.com');
    const { code, said } = await verify();
    expect([code, said]).toEqual([1, expect.stringContaining(`broken at record ${seq} (${id}), changed`)]);
    await rename(admin.email);
    expect((await verify()).code).toBe(0);
  });
});

/** The command as a person runs it, beside the control plane. */
function verify(): Promise<{ readonly code: number; readonly said: string }> {
  const script = fileURLToPath(new URL('../../scripts/audit.ts', import.meta.url));
  const env = { PATH: process.env.PATH, HOME: directory, DATA_DIR: dataDirectory };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [script, 'verify'], { cwd: directory, env }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, said: stdout + stderr }),
    );
  });
}

/** As whoever owns the database. */
async function sql<Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const home = join(dataDirectory, 'postgres');
  const password = new Secret(readFileSync(join(home, 'password'), 'utf8').trim());
  const client = new Client(
    clientConfig({ host: join(home, 'run'), port: 5432, user: 'plinth', password, database: 'plinth' }),
  );
  await client.connect();
  try {
    return (await client.query(text, [...values])).rows as Row[];
  } finally {
    await client.end();
  }
}
