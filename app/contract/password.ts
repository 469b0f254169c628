import { z } from 'zod';

/** How many characters a new password has. The one place that says it: the rules, the documentation and the pages ask here. */
export const passwordLength = { least: 12, most: 128 } as const;

/** A password that is to be right. Older ones may be shorter than today's are; whoever sends more means no password. */
export const givenPassword = z.string().min(1).max(1024);

/** Judged by the rules for passwords, which say in words of their own what is wrong (PASSWORD_WEAK). */
export const newPassword = givenPassword.describe(
  `${passwordLength.least} to ${passwordLength.most} characters, and none that is easy to guess.`,
);
