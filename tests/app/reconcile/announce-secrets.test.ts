import { describe, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { organization } from '#secrets/scope.ts';
import { createCanaries } from '#support/canaries.ts';
import { degradedBecause, soon, useAnnouncer, web } from './announce-stand.ts';

const { db, start, hear, messages, arrived, secrets, log, receiver, events } = useAnnouncer();

describe('secrets', () => {
  test('of the project and of all around it never leave in a reason', async () => {
    const canaries = createCanaries();
    const scopes = [web, 'team/shop', 'environment/production', organization] as const;
    const values = scopes.map(() => canaries.next());
    for (const [i, scope] of scopes.entries()) {
      await secrets().set(scope, `secret-${i}`, new Secret(values[i] ?? ''), 'ada');
      if (i > 0) await secrets().grant(scope, `secret-${i}`, ['*/shop/*'], 'ada');
    }
    const forms = values.flatMap((value) => [
      value,
      JSON.stringify({ value }),
      encodeURIComponent(value),
      Buffer.from(value).toString('base64'),
    ]);
    const reasons = forms.map((form, i) => ({
      object: `Deployment/d${i}`,
      state: 'degraded',
      reason: `exec failed: --password=${form} is wrong ${'x'.repeat(400)}`,
    }));
    await hear(start(), web, { health: 'degraded', reasons: reasons.slice(0, 10) });
    const api = { ...web, project: 'api' };
    await hear(start(), api, {
      phase: 'failed',
      reasons: reasons.slice(10),
      problem: { code: 'OBJECT_REFUSED', detail: `spec.password: Invalid value: ${values[1]}` },
    });
    await expect.poll(() => receiver().received.length, soon).toBe(2);
    const { rows } = await db.database.query('select a::text from announced a');
    const detailsOf = (name: string) => messages().find(({ project }) => project === name)?.details;
    expect(['web', 'api'].map((name) => detailsOf(name)?.length)).toEqual([10, 6]);
    expect(detailsOf('web')?.[0]).toMatch(
      /^Deployment\/d0 is degraded: exec failed: --password=\[secret\] is wrong x{400}$/,
    );
    const all = [JSON.stringify(receiver().received), JSON.stringify(events()), log().text(), JSON.stringify(rows)];
    for (const text of all) expect(canaries.findIn(text)).toEqual([]);
  });

  test('that cannot be read keep reasons here; that there is trouble is told', async () => {
    const canaries = createCanaries();
    const value = canaries.next();
    await secrets().set(web, 'password', new Secret(value), 'ada');
    await db.database.query(`update secret_values set ciphertext = '\\x0102' where name = 'password'`);
    await hear(start(), web, degradedBecause(`the password ${value} is wrong`));
    await arrived('shop/web in production is degraded');
    expect(messages()[0]?.details).toEqual(['Reasons are left out: the secrets to be masked in them cannot be read.']);
    for (const text of [receiver().received[0]?.body ?? '', JSON.stringify(events()), log().text()])
      expect(canaries.findIn(text)).toEqual([]);
  });
});
