import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import type { Caller } from '#contract/caller.ts';
import type { Route } from '#contract/route.ts';
import { routes } from '#contract/routes.ts';
import { openAccess, type TestAccess } from '#support/access.ts';
import { useDatabase } from '#support/postgres.ts';

/**
 * Who gets past the gate of each route, written down by hand: it is not made from roles, reaches or `authorise`. Every
 * request is about team `shop` in environment `local`, as far as the path names these.
 *
 *     A  administrator                                  signed in
 *     E  editor, in team shop                           signed in
 *     V  viewer, in team shop                           signed in
 *     C  a role that people made, in team shop: audit:read in the organization, project:read in its teams
 *     F  editor of another team, blog                   signed in
 *     T  a token of the administrator without bounds
 *     N  one that is bound to another environment, dev
 *     M  one that is bound to another team, blog
 *     S  one that is bound to another scope, audit:read
 *     R  a token of a robot (service account), viewer in team shop
 *
 * Never anyone: no credentials, revoked and expired tokens, the token and the session of a disabled person. A session
 * without its CSRF token changes nothing. `public`: everyone, with and without credentials.
 */
const mayPass: Readonly<Record<string, string>> = {
  // Projects
  listProjects: 'AEVCFTMR',
  putProject: 'AET',
  getProject: 'AEVCTR',
  deleteProject: 'AET',
  getManifests: 'AEVCTR',
  getDiff: 'AEVCTR',
  getHistory: 'AEVCTR',
  watchProject: 'AEVCTR',
  listObjects: 'AEVCTR',
  getLogs: 'AEVTR',
  reconcileProject: 'AET',
  rollbackProject: 'AET',
  suspendProject: 'AET',
  resumeProject: 'AET',
  confirmProject: 'AET',
  listSecrets: 'AET',
  getSecret: 'AET',
  putSecret: 'AET',
  deleteSecret: 'AET',
  // Environments, changes, secrets of the organization
  listEnvironments: 'AEVFTNMR',
  getEnvironment: 'AEVFTMR',
  listChanges: 'AEVCFTNMR',
  getChange: 'AEVCFTNMR',
  listOrganizationSecrets: 'AT',
  putOrganizationSecret: 'AT',
  deleteOrganizationSecret: 'AT',
  // Secrets of a team, of an environment
  listTeamSecrets: 'AET',
  putTeamSecret: 'AET',
  deleteTeamSecret: 'AET',
  listEnvironmentSecrets: 'AT',
  putEnvironmentSecret: 'AT',
  deleteEnvironmentSecret: 'AT',
  getVaultFolder: 'AET',
  putVaultFolder: 'AT',
  deleteVaultFolder: 'AT',
  // Switches
  listSwitches: 'AEVCFTMR',
  putEnvironmentSwitch: 'AT',
  deleteEnvironmentSwitch: 'AT',
  putTeamSwitch: 'AT',
  deleteTeamSwitch: 'AT',
  listProjectSwitches: 'AEVCTR',
  putProjectSwitch: 'AET',
  deleteProjectSwitch: 'AET',
  // Signatures
  acceptRevision: 'AT',
  // Notifications
  listDeliveries: 'AT',
  // Oneself
  getMe: 'AEVCFTNMR',
  putPassword: 'AEVCF',
  createToken: 'AEF',
  listTokens: 'AEFTNM',
  deleteToken: 'AEF',
  listSessions: 'AEVCF',
  revokeSession: 'AEVCF',
  revokeOtherSessions: 'AEVCF',
  changePassword: 'AEVCF',
  getSecondFactor: 'AEVCF',
  beginTotp: 'AEVCF',
  confirmTotp: 'AEVCF',
  renewBackupCodes: 'AEVCF',
  disableTotp: 'AEVCF',
  // People, teams, roles
  listUsers: 'AEVFTMR',
  createUser: 'A',
  getUser: 'AEVFTMR',
  changeUser: 'AT',
  deleteUser: 'AT',
  signOutUser: 'AT',
  removeSecondFactor: 'A',
  listTeams: 'AEVFTMR',
  getTeam: 'AEVTR',
  putTeam: 'AT',
  deleteTeam: 'AT',
  listMembers: 'AEVTR',
  putMember: 'AT',
  deleteMember: 'AT',
  listRoles: 'AT',
  getRole: 'AT',
  putRole: 'AT',
  deleteRole: 'AT',
  // Invitations; who has the permission in some teams only is told the rest by the handler
  listInvitations: 'ATM',
  createInvitation: 'A',
  deleteInvitation: 'ATM',
  readInvitation: 'public',
  acceptInvitation: 'public',
  // Service accounts; whose they are is told by the handler
  listServiceAccounts: 'AEFTM',
  createServiceAccount: 'AEFTM',
  getServiceAccount: 'AEFTM',
  changeServiceAccount: 'AEFTM',
  deleteServiceAccount: 'AEFTM',
  listServiceAccountTokens: 'AEFTM',
  createServiceAccountToken: 'AEF',
  deleteServiceAccountToken: 'AEFTM',
  // Identity providers
  listIdentityProviders: 'AT',
  createIdentityProvider: 'A',
  getIdentityProvider: 'AT',
  putIdentityProvider: 'A',
  deleteIdentityProvider: 'A',
  testIdentityProvider: 'A',
  tryIdentityMapping: 'A',
  deleteIdentityLink: 'A',
  listSignInButtons: 'public',
  beginIdentitySignIn: 'public',
  finishOidcSignIn: 'public',
  finishSettingsSignIn: 'public',
  receiveSamlAnswer: 'public',
  finishSamlSignIn: 'public',
  getSamlMetadata: 'public',
  // Audit
  listAudit: 'ACTS',
  // Webhooks: each delivery proves itself by its signature
  receiveGitWebhook: 'public',
  // Signing in
  signIn: 'public',
  signUp: 'public',
  verifyEmail: 'public',
  requestPasswordReset: 'public',
  resetPassword: 'public',
  getSession: 'public',
  signOut: 'public',
  mailSecondFactorCode: 'public',
  verifySecondFactor: 'public',
  // Pages
  showHome: 'public',
  showSignIn: 'public',
  submitSignIn: 'public',
  showSignOut: 'public',
  submitSignOut: 'public',
  showSecondFactor: 'public',
  submitSecondFactor: 'public',
  submitMailCode: 'public',
  showResetRequest: 'public',
  submitResetRequest: 'public',
  submitReset: 'public',
  showVerifyEmail: 'public',
  submitVerifyEmail: 'public',
  showInvitation: 'public',
  submitInvitation: 'public',
  showRegister: 'public',
  submitRegister: 'public',
  showAccount: 'AEVCFTNMR',
  submitPassword: 'AEVCF',
  showDevices: 'AEVCFTNMR',
  submitEndSession: 'AEVCF',
  submitEndOthers: 'AEVCF',
  showAccountFactor: 'AEVCFTNMR',
  submitBeginTotp: 'AEVCF',
  submitConfirmTotp: 'AEVCF',
  submitBackupCodes: 'AEVCF',
  submitDisableTotp: 'AEVCF',
  // The system
  getHealth: 'public',
  getReady: 'public',
  getOpenApi: 'public',
  getSchema: 'public',
};

const everybody = 'AEVCFTNMSR';
const table: readonly Route[] = routes;
const db = useDatabase();

/** What a path names, in a form that its schema takes. */
const examples: Readonly<Record<string, string>> = {
  environment: 'local',
  team: 'shop',
  project: 'web',
  container: 'web',
  action: 'apply',
  name: 'API_KEY',
  user: `usr_${'0'.repeat(26)}`,
  token: `tok_${'0'.repeat(26)}`,
  role: 'editor',
  provider: 'github',
  email: 'ada@example.com',
  file: 'project.schema.json',
};
const idKinds = { Changes: 'chg', 'Service accounts': 'sva', Invitations: 'inv', Access: 'tok' } as const;
const pathOf = ({ path, tag }: Route) =>
  path.replace(/\{(\w+)\}/g, (_, name: string) =>
    name === 'id'
      ? `${idKinds[tag as keyof typeof idKinds]}_${'0'.repeat(26)}`
      : (examples[name] ?? `no-example-${name}`),
  );

type Headers_ = Readonly<Record<string, string>>;
interface Persona {
  readonly headers: Headers_;
  /** What a browser adds to what changes something. */
  readonly csrf?: Headers_;
}

let access: TestAccess;
const personas: Record<string, Persona> = {};
/** Proofs that open nothing. */
const nobodies: Record<string, Persona> = { 'no credentials': { headers: {} } };
/** The names of the routes whose handlers were reached, by request. */
let reached: string[] = [];

beforeAll(async () => {
  access = await openAccess(db, {
    handler: async (route) => {
      reached.push(route);
      throw new Fault('DISK_FULL', { directory: 'this test' });
    },
  });
  const admin = await access.person('admin@example.com', 'admin');
  const root = await access.callerWith((await access.tokenOf(admin.id)).headers);
  await access.teams.put('shop', '');
  await access.teams.put('blog', '');
  await access.roles.put(root, {
    name: 'auditor',
    about: '',
    grants: { 'audit:read': 'organization', 'project:read': 'team' },
  });
  const member = async (email: string, role: string, team: string) => {
    const { id } = await access.person(email, role);
    await access.teams.putMember(root, { team, userId: id, role: null });
    return id;
  };
  const signedIn = async (id: string): Promise<Persona> => {
    const { cookie, csrf } = await access.sessionOf(id);
    return { headers: cookie, csrf };
  };
  const robot = await access.serviceAccounts.create(root, {
    name: 'robot',
    role: 'viewer',
    teams: [{ team: 'shop', role: null }],
  });
  personas.A = await signedIn(admin.id);
  personas.E = await signedIn(await member('editor@example.com', 'editor', 'shop'));
  personas.V = await signedIn(await member('viewer@example.com', 'viewer', 'shop'));
  personas.C = await signedIn(await member('auditor@example.com', 'auditor', 'shop'));
  personas.F = await signedIn(await member('foreign@example.com', 'editor', 'blog'));
  personas.T = await access.tokenOf(admin.id);
  personas.N = await access.tokenOf(admin.id, { environments: ['dev'] });
  personas.M = await access.tokenOf(admin.id, { teams: ['blog'] });
  personas.S = await access.tokenOf(admin.id, { scopes: ['audit:read'] });
  personas.R = await access.tokenOf(robot.id);

  const revoked = await access.tokenOf(admin.id);
  await access.callerWith(revoked.headers);
  await access.tokens.revoke(revoked.id);
  nobodies['a revoked token'] = revoked;
  const expired = await access.tokenOf(admin.id, { expiresInDays: 1 });
  await db.database.query(`update tokens set expires_at = now() - interval '1 second' where id = $1`, [expired.id]);
  nobodies['an expired token'] = expired;
  const disabled = await access.person('disabled@example.com', 'admin');
  nobodies["a disabled person's token"] = await access.tokenOf(disabled.id);
  nobodies["a disabled person's session"] = await signedIn(disabled.id);
  await access.people.setDisabled(disabled.id, true);
  nobodies['an unknown token'] = { headers: { Authorization: `Bearer plt_${'A'.repeat(43)}` } };
  nobodies['a session that nobody began'] = {
    headers: { Cookie: 'plinth.session=forged.forged; plinth.csrf=forged' },
    csrf: { 'X-CSRF-Token': 'forged' },
  };
  // What was revoked has been told to everybody who remembers.
  for (const { headers } of Object.values(nobodies))
    while ((await access.callerWith(headers).catch(() => undefined)) !== undefined) await access.clock.sleep(5);
});
afterAll(() => access.close());

/** `past`: the gate let it through, to the handler or to the schema of body and query; else status and code. */
async function ask(route: Route, { headers, csrf = {} }: Persona, withCsrf = true): Promise<string> {
  reached = [];
  const { method } = route;
  const reply = await fetch(access.url + pathOf(route), {
    method,
    redirect: 'manual',
    headers: { ...headers, ...(method === 'GET' || !withCsrf ? {} : csrf) },
    ...(method === 'GET' ? {} : { body: new Blob(['{}'], { type: 'application/json' }) }),
  });
  const text = await reply.text();
  const problem = text.startsWith('{')
    ? (JSON.parse(text) as { code: string; findings?: { file: string }[] })
    : undefined;
  if (reply.status === 507) {
    expect(reached, `${route.name} was answered by another handler`).toEqual([route.name]);
    return 'past';
  }
  const inPath = problem?.findings?.some(({ file }) => file === 'path') === true;
  if (problem?.code === 'REQUEST_INVALID' && !inPath) return 'past';
  return `${reply.status} ${problem?.code ?? ''}`.trim();
}

test('every route stands in the table above, and every row of it is a route', () => {
  expect(Object.keys(mayPass).sort()).toEqual(table.map(({ name }) => name).sort());
});

test('what is public here is public in the contract, and nothing else is', () => {
  const open = Object.keys(mayPass).filter((name) => mayPass[name] === 'public');
  expect(
    table
      .filter(({ permission }) => permission === 'public')
      .map(({ name }) => name)
      .sort(),
  ).toEqual(open.sort());
});

describe.each(table.map((route) => [route.name, route] as const))('%s', (name, route) => {
  const isPublic = mayPass[name] === 'public';

  test('who may, gets past the gate; who may not, does not', async () => {
    const outcome: Record<string, string> = {};
    for (const letter of everybody) outcome[letter] = await ask(route, personas[letter] as Persona);
    const wanted = Object.fromEntries(
      [...everybody].map((letter) => [letter, isPublic || mayPass[name]?.includes(letter) ? 'past' : 'denied']),
    );
    const seen = Object.entries(outcome).map(([letter, what]) => [
      letter,
      what === '403 FORBIDDEN' || what === '403' ? 'denied' : what,
    ]);
    expect(Object.fromEntries(seen)).toEqual(wanted);
  });

  test('without a proof that holds, nobody does', async () => {
    for (const [what, persona] of Object.entries(nobodies)) {
      const outcome = await ask(route, persona);
      if (isPublic) expect(outcome, what).toBe('past');
      else expect(outcome, what).toMatch(/^401/);
    }
  });

  if (isPublic || route.method === 'GET') return;
  test('a session without its CSRF token changes nothing', async () => {
    for (const letter of 'AEVCF')
      expect(await ask(route, personas[letter] as Persona, false), letter).toMatch(
        /^403( CSRF_TOKEN_WRONG| FORBIDDEN)?$/,
      );
  });
});

test('a route that is in no table, or says not what it acts on, is nobody’s', async () => {
  const { headers } = personas.T as Persona;
  for (const path of ['/api/v1/nothing', '/api/v1', '/api/auth/ok', '/api/auth/admin/list-users'])
    expect((await access.send('GET', path, headers)).status, path).toBe(404);
  const caller: Caller = await access.callerWith(headers);
  expect(caller.may.size).toBeGreaterThan(20);
});
