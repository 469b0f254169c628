import { expect } from 'vitest';
import { examineSettings, type Notice } from '#base/config.ts';

type Texts = Readonly<Record<string, string>>;

/** The faults of settings that must have some. */
export function faultsOf(env: Texts, envFile?: string): readonly string[] {
  const { config, faults } = examineSettings({ env, envFile });
  expect(config).toBeUndefined();
  expect(faults).not.toEqual([]);
  return faults;
}

/** The notices of settings that must be valid. */
export function noticesOf(env: Texts, envFile?: string): readonly Notice[] {
  const { faults, report } = examineSettings({ env, envFile });
  expect(faults).toEqual([]);
  return report.notices;
}

/** The warnings of settings that must be valid. */
export const warningsOf = (env: Texts, envFile?: string): readonly string[] =>
  noticesOf(env, envFile)
    .filter(({ level }) => level === 'warning')
    .map(({ text }) => text);

/** A key that is neither short nor known nor repetitive. */
export const goodKey = 'k3Vw9-rTq7LxZ2mNb8JcYd5GhPf4Ss1A';
