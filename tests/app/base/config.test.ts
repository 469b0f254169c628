import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig, settings } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';

function faultsOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (error) {
    expect(Fault.is(error, 'CONFIG_INVALID')).toBe(true);
    return (error as Fault).message;
  }
  throw new Error('these settings should have been refused');
}

test('without any variable every setting has its default', () => {
  const { dataDirectory, host, apiPort, consolePort, metricsPort, adminEmail, adminPassword } = readConfig({});
  expect({ dataDirectory, host, apiPort, consolePort, metricsPort, adminEmail, adminPassword }).toEqual({
    dataDirectory: resolve('.plinth'),
    host: '127.0.0.1',
    apiPort: 9000,
    consolePort: 3000,
    metricsPort: 9050,
    adminEmail: 'admin@localhost.ai',
    adminPassword: undefined,
  });
});

test('the object is frozen', () => {
  expect(Object.isFrozen(readConfig({}))).toBe(true);
});

test('an empty variable is an absent one', () => {
  expect(readConfig({ API_PORT: '', HOST: '' })).toMatchObject({ apiPort: 9000, host: '127.0.0.1' });
});

test('an alias is the same setting', () => {
  expect(readConfig({ BACKEND_PORT: '9100', FRONTEND_PORT: '3100' })).toMatchObject({
    apiPort: 9100,
    consolePort: 3100,
  });
});

test('a name and its alias may agree, and are refused when they do not', () => {
  expect(readConfig({ API_PORT: '9100', BACKEND_PORT: '9100' }).apiPort).toBe(9100);
  expect(faultsOf({ API_PORT: '9100', BACKEND_PORT: '9200' })).toBe(
    'The settings are not valid:\n' +
      '  - API_PORT and BACKEND_PORT are the same setting with different values; keep one of them',
  );
});

test('all faults come at once, each with the variable as it was given, what came and what is wanted', () => {
  expect(faultsOf({ HOST: 'example', BACKEND_PORT: 'http', METRICS_PORT: '65536', LOG_LEVEL: 'loud' })).toBe(
    [
      'The settings are not valid:',
      '  - HOST is "example"; wanted is an IP address such as 127.0.0.1 or 0.0.0.0',
      '  - BACKEND_PORT is "http"; wanted is a port from 1 to 65535 (0: any free one)',
      '  - METRICS_PORT is "65536"; wanted is a port from 1 to 65535 (0: any free one)',
      '  - LOG_LEVEL is "loud"; wanted is one of trace, debug, info, warn, error, fatal, silent, warning, critical',
    ].join('\n'),
  );
});

test.each(['-1', '1.5', '1e3', '0x10', ' 80', '99999999999999999999'])('%j is no port', (port) => {
  expect(faultsOf({ API_PORT: port })).toContain(`API_PORT is ${JSON.stringify(port)}`);
});

test('a secret is wrapped when it is read, and never stands in a fault', () => {
  const { adminPassword } = readConfig({ AUTH_ADMIN_PASSWORD: 'correct horse' });
  expect(adminPassword).toBeInstanceOf(Secret);
  expect(adminPassword?.reveal()).toBe('correct horse');
  expect(faultsOf({ AUTH_ADMIN_PASSWORD: 'short' })).toBe(
    'The settings are not valid:\n  - AUTH_ADMIN_PASSWORD is a value; wanted is 8 to 128 characters',
  );
});

test('localhost is the loopback address, IPv6 is an address too, and an e-mail address is lower case', () => {
  expect(readConfig({ HOST: 'localhost', AUTH_ADMIN_EMAIL: 'Ada@Example.com' })).toMatchObject({
    host: '127.0.0.1',
    adminEmail: 'ada@example.com',
  });
  expect(readConfig({ HOST: '::1' }).host).toBe('::1');
});

test('the default that the reference page shows is the default', () => {
  const config = readConfig({});
  for (const name of ['host', 'apiPort', 'consolePort', 'metricsPort', 'adminEmail', 'logLevel'] as const)
    expect([name, String(config[name])]).toEqual([name, settings[name].defaultText]);
});
