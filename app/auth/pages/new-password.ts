import { passwordLength } from '#contract/password.ts';
import type { Field } from './form.ts';

/** Where a person chooses a password: nobody sees it, so the hint says beforehand what will be taken. */
export const newPasswordField = (label: string): Field => ({
  name: 'password',
  label,
  type: 'password',
  autocomplete: 'new-password',
  hint: `At least ${passwordLength.least} characters. A few words that do not belong together are easy to remember and hard to guess.`,
});
