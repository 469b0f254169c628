import { join } from 'node:path';
import { URI } from 'otpauth';
import { expect, test } from 'vitest';
import { admin, startControlPlane } from '#support/control-plane.ts';
import { Browser } from '#support/sign-in.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const temporary = useTemporaryDirectory();
const first = 'Zp3sQ8vXz1Lr6Tn0BwEj9UhGc4MaDfRk';
const second = 'kYp3sQ8vXz1Lr6Tn0BwEj9UhGc4MaDfR';

test('a changed SECRET_KEY signs people out, and takes neither a second factor nor a secret away', async () => {
  const dataDirectory = join(temporary, 'data');
  let plinth = await startControlPlane({ dataDirectory, environment: { SECRET_KEY: first } });
  const before = new Browser(plinth.url);
  await before.signIn(admin.email, admin.password);
  const begun = await before.post('/api/auth/two-factor/enable', { password: admin.password });
  const totp = URI.parse(begun.json.totpURI);
  const confirmed = await before.post('/api/auth/two-factor/confirm', { code: totp.generate() });
  expect(confirmed.json.backupCodes).toHaveLength(10);
  const put = await before.send('PUT', '/api/v1/secrets/pull', { value: 'a canary', grants: ['*/*/*'] });
  expect(put.status).toBe(200);
  await plinth.stop();

  const environment = { SECRET_KEY: second, SECRET_KEY_PREVIOUS: first };
  plinth = await startControlPlane({ dataDirectory, environment });
  try {
    const after = new Browser(plinth.url);
    for (const [name, value] of before.jar) after.jar.set(name, value);
    expect((await after.get('/api/v1/me')).status).toBe(401);
    const again = new Browser(plinth.url);
    expect((await again.signIn(admin.email, admin.password)).json.secondFactor).toBe('due');
    const [code] = confirmed.json.backupCodes;
    expect((await again.post('/api/auth/two-factor/verify', { code })).status).toBe(200);
    expect((await again.get('/api/v1/me')).status).toBe(200);
    const nextStep = totp.generate({ timestamp: Date.now() + 30_000 });
    const third = new Browser(plinth.url);
    await third.signIn(admin.email, admin.password);
    expect((await third.post('/api/auth/two-factor/verify', { code: nextStep })).status).toBe(200);
    expect(plinth.log()).not.toContain('SECRET_UNREADABLE');
  } finally {
    await plinth.stop();
  }
});
