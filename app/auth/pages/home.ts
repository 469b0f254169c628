import type { PageDoors, PageHandlers } from './doors.ts';
import { homePath } from './next-path.ts';
import { sessionOf } from './visit.ts';

/** / leads on: to the account, or to where one signs in. */
export function homePages({ sessions }: PageDoors): Pick<PageHandlers, 'showHome'> {
  return {
    showHome: async ({ request }) => {
      const session = await sessionOf(sessions, request);
      if (session === undefined) return { location: '/sign-in' };
      return { location: session.secondFactor === 'due' ? '/second-factor' : homePath };
    },
  };
}
