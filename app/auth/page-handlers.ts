import { accountPages } from './pages/account.ts';
import { accountSecondFactorPages } from './pages/account-second-factor.ts';
import { devicePages } from './pages/devices.ts';
import type { PageDoors, PageHandlers } from './pages/doors.ts';
import { homePages } from './pages/home.ts';
import { invitationPages } from './pages/invitation.ts';
import { nextPath, withNext } from './pages/next-path.ts';
import { registerPages } from './pages/register.ts';
import { resetPasswordPages } from './pages/reset-password.ts';
import { secondFactorPages } from './pages/second-factor.ts';
import { signInPages } from './pages/sign-in.ts';
import { signOutPages } from './pages/sign-out.ts';
import { verifyEmailPages } from './pages/verify-email.ts';

export { mountPageAssets } from './pages/assets.ts';
export type { PageDoors } from './pages/doors.ts';

/** The pages for people, until the console takes their addresses over: plain HTML and forms, without script. */
export function createPageHandlers(doors: PageDoors): PageHandlers {
  return {
    ...homePages(doors),
    ...signInPages(doors),
    ...signOutPages(doors),
    ...secondFactorPages(doors),
    ...resetPasswordPages(doors),
    ...verifyEmailPages(doors),
    ...invitationPages(doors),
    ...registerPages(doors),
    ...accountPages(doors),
    ...devicePages(doors),
    ...accountSecondFactorPages(doors),
  };
}

/** Where a browser goes that opens the page at `path` without being signed in. */
export const signInPage = (path: string): string => withNext('/sign-in', nextPath(path));

/** Where an invitation leads, for `InvitationsDependencies.linkOf`. `baseUrl` is without a slash at its end. */
export const invitationLink = (baseUrl: string, token: string): string =>
  `${baseUrl}/invitation?token=${encodeURIComponent(token)}`;
