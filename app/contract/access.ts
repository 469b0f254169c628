import { z } from 'zod';
import { time } from './values.ts';

const tokenId = z
  .string()
  .regex(/^tok_[0-9a-hjkmnp-tv-z]{26}$/, 'the id of a token: tok_ and 26 letters and digits')
  .describe('Id of the token.');

export const tokenParams = z.strictObject({ id: tokenId });

export const tokenBody = z.strictObject({
  name: z.string().trim().min(1).max(80).describe('What the token is for; shown in commits made with it.'),
  expiresInDays: z.int().min(1).max(3650).optional().describe('It never expires unless this is given.'),
});

export const tokenView = z
  .object({
    id: z.string(),
    name: z.string(),
    createdAt: time,
    expiresAt: time.nullable(),
    lastUsedAt: time.nullable().describe('To the minute.'),
  })
  .meta({ id: 'Token' });

/** The only time that the token itself is shown. */
export const newTokenView = z
  .object({ ...tokenView.shape, token: z.string().describe('Keep it: it is shown this once.') })
  .meta({ id: 'NewToken' });

export const passwordBody = z.strictObject({
  current: z.string().min(1).max(128).describe('The password as it is now.'),
  next: z.string().min(8).max(128).describe('8 to 128 characters.'),
});
