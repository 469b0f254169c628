import { expect, test } from 'vitest';
import { readConfig } from '#base/config.ts';
import { faultsOf } from './faults-of.ts';

test.each([
  ['52428800', 52_428_800],
  ['50MB', 52_428_800],
  ['50 mb', 52_428_800],
  ['100KB', 102_400],
  ['1GB', 1_073_741_824],
  ['1.5Mi', 1_572_864],
  ['10GiB', 10_737_418_240],
])('API_BODY_LIMIT=%s is %i bytes', (text, bytes) => {
  expect(readConfig({ API_BODY_LIMIT: text }).apiBodyLimitBytes).toBe(bytes);
});

test.each(['50XB', '-1', '0', '', 'MB', '1e3', '99999999TB'])('API_BODY_LIMIT=%j is no size', (text) => {
  if (text === '') expect(readConfig({ API_BODY_LIMIT: text }).apiBodyLimitBytes).toBe(52_428_800);
  else
    expect(faultsOf({ API_BODY_LIMIT: text })).toEqual([
      `API_BODY_LIMIT is ${JSON.stringify(text)}; wanted is a size such as 52428800, 50MB or 1GB`,
    ]);
});

test.each([
  ['K8S_SNAPSHOT_READY_TIMEOUT_SECONDS', 'snapshotReadyTimeoutMs', '90', 90_000],
  ['K8S_SNAPSHOT_READY_TIMEOUT_SECONDS', 'snapshotReadyTimeoutMs', '90s', 90_000],
  ['K8S_SNAPSHOT_READY_TIMEOUT_SECONDS', 'snapshotReadyTimeoutMs', '2m', 120_000],
  ['K8S_SNAPSHOT_RETENTION_DAYS', 'snapshotRetentionMs', '30', 2_592_000_000],
  ['K8S_SNAPSHOT_RETENTION_DAYS', 'snapshotRetentionMs', '2w', 1_209_600_000],
  ['K8S_HIBERNATION_IDLE_MINUTES', 'hibernationIdleMs', '10', 600_000],
  ['K8S_HIBERNATION_IDLE_MINUTES', 'hibernationIdleMs', '1.5h', 5_400_000],
] as const)('%s: %s is %s → %i ms', (name, field, text, milliseconds) => {
  expect(readConfig({ [name]: text })[field]).toBe(milliseconds);
});

test('without the settings the times are those of the reference, and hibernation is off', () => {
  expect(readConfig({})).toMatchObject({
    snapshotReadyTimeoutMs: 90_000,
    snapshotRetentionMs: 30 * 86_400_000,
    mostSnapshots: 5,
    hibernationIdleMs: undefined,
  });
});

test.each(['0', '-5', 'soon', '10 days', '5min'])('%j is no time', (text) => {
  expect(faultsOf({ K8S_HIBERNATION_IDLE_MINUTES: text })).toEqual([
    `K8S_HIBERNATION_IDLE_MINUTES is ${JSON.stringify(text)}; wanted is a time such as 90s, 10m, 2h or 30d (a plain number counts minutes)`,
  ]);
});

test.each([
  ['10Gi', '10Gi'],
  ['1.5G', '1.5G'],
  ['10737418240', '10Gi'],
  ['1536', '1536'],
])('K8S_PVC_SIZE=%s goes into manifests', (text, quantity) => {
  if (text === '1536') expect(readConfig({ K8S_PVC_SIZE: '1572864' }).volumeSize).toBe('1536Ki');
  else expect(readConfig({ K8S_PVC_SIZE: text }).volumeSize).toBe(quantity);
});

test.each(['10GB', '10', '0Gi', '512m'])('K8S_PVC_SIZE=%s does not', (text) => {
  expect(faultsOf({ K8S_PVC_SIZE: text })).toEqual([
    `K8S_PVC_SIZE is ${JSON.stringify(text)}; wanted is an amount with its unit such as 10Gi`,
  ]);
});

test.each([
  ['true', true],
  ['TRUE', true],
  ['1', true],
  ['yes', true],
  ['on', true],
  ['False', false],
  ['0', false],
  ['no', false],
  ['off', false],
])('%s is %s', (text, value) => {
  expect(readConfig({ ARCHESTRA_QUICKSTART: text }).quickstart).toBe(value);
});

test('anything else is no truth value', () => {
  for (const text of ['maybe', 'constructor', 'toString', '__proto__'])
    expect(faultsOf({ COOKIE_SECURE: text })).toEqual([`COOKIE_SECURE is "${text}"; wanted is true or false`]);
  expect(faultsOf({ LOG_LEVEL: 'constructor' })).toHaveLength(1);
});

test('lists, networks, images, names', () => {
  expect(
    readConfig({ LITELLM_DEFAULT_MODELS: 'gpt-4o-mini, claude-3-5-sonnet-20241022,' }).litellmDefaultModels,
  ).toEqual(['gpt-4o-mini', 'claude-3-5-sonnet-20241022']);
  expect(readConfig({ TRUSTED_PROXIES: '10.0.0.0/8, 192.168.1.5, fd00::1' }).trustedProxies).toEqual([
    '10.0.0.0/8',
    '192.168.1.5/32',
    'fd00::1/128',
  ]);
  expect(faultsOf({ TRUSTED_PROXIES: '10.0.0.0/33' })[0]).toContain('each an address or a network');
  expect(readConfig({ API_BASE_URL: 'http://a.svc:9000,https://api.example.com/' }).apiBaseUrls).toEqual([
    'http://a.svc:9000',
    'https://api.example.com',
  ]);
  expect(faultsOf({ K8S_STORAGE_CLASS: 'Not A Name', K8S_DEVSERVER_IMAGE: 'two words' })).toHaveLength(2);
  expect(faultsOf({ VLLM_BASE_URL: 'localhost:8000' })[0]).toContain('an address such as');
});
