import { expect, test } from 'vitest';
import { createSignInLimits } from '#http/limits.ts';

const fail = async (limits: ReturnType<typeof createSignInLimits>, address: string, account: string) => {
  await limits.attempt(address, account);
};

test('an account closes after its failures, from whatever address', async () => {
  const limits = createSignInLimits({ perAccount: 3, windowSeconds: 60 });
  for (let i = 0; i < 3; i++) await fail(limits, `10.0.0.${i}`, 'ada');
  await expect(fail(limits, '10.0.0.9', 'ada')).rejects.toMatchObject({
    code: 'SIGN_IN_LIMITED',
    data: { what: 'for this account', seconds: 60 },
  });
  await fail(limits, '10.0.0.9', 'bob');
});

test('an address closes after its failures, for whatever account', async () => {
  const limits = createSignInLimits({ perAddress: 3 });
  for (let i = 0; i < 3; i++) await fail(limits, '10.0.0.1', `person${i}`);
  await expect(fail(limits, '::ffff:10.0.0.1', 'ada')).rejects.toMatchObject({ data: { what: 'from this address' } });
  await fail(limits, '10.0.0.2', 'ada');
});

test('of IPv6 a whole /64 counts as one', async () => {
  const limits = createSignInLimits({ perAddress: 2 });
  await fail(limits, '2001:db8::1', 'a');
  await fail(limits, '2001:db8::ffff:2', 'b');
  await expect(fail(limits, '2001:db8:0:0:9::3', 'c')).rejects.toMatchObject({ code: 'SIGN_IN_LIMITED' });
  await fail(limits, '2001:db8:0:1::1', 'c');
});

test('signing in is no failure', async () => {
  const limits = createSignInLimits({ perAccount: 2, perAddress: 2 });
  for (let i = 0; i < 10; i++) await (await limits.attempt('10.0.0.1', 'ada')).succeeded();
  for (let i = 0; i < 10; i++) await (await limits.attempt('10.0.0.1', 'bob')).withdrawn();
});

test('a stranger does not lock the owner out of an address that was good before', async () => {
  const limits = createSignInLimits({ perAccount: 2 });
  await (await limits.attempt('10.0.0.1', 'ada')).succeeded();
  await fail(limits, '10.6.6.6', 'ada');
  await fail(limits, '10.6.6.7', 'ada');
  await expect(fail(limits, '10.6.6.8', 'ada')).rejects.toMatchObject({ code: 'SIGN_IN_LIMITED' });
  await (await limits.attempt('10.0.0.1', 'ada')).succeeded();
});
