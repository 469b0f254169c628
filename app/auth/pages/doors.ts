import type { pageRoutes } from '#contract/page-routes.ts';
import type { HandlersOf } from '#contract/route.ts';
import type { PasswordSignIn } from '../identity/password-gate.ts';
import type { Invitations } from '../people/invitations.ts';
import type { People } from '../people/people.ts';
import type { Cookies } from '../sign-in/cookies.ts';
import type { PasswordProof } from '../sign-in/password-proof.ts';
import type { SecondFactor } from '../sign-in/second-factor.ts';
import type { Sessions } from '../sign-in/sessions.ts';
import type { SignIn } from '../sign-in/sign-in.ts';

/** One handler for each page and each form. */
export type PageHandlers = HandlersOf<typeof pageRoutes>;

/** Which ways in there are at present. */
export interface Offers {
  /** From whom e-mail and password are taken. */
  readonly passwordSignIn: PasswordSignIn;
  /** AUTH_ALLOW_REGISTRATION: anybody may make an account. */
  readonly registration: boolean;
}

/** An identity provider on the sign-in page. */
export interface SignInButton {
  readonly label: string;
  /** Of ours, where its sign-in begins; it takes `?next=`. */
  readonly path: string;
  /** As in `Session.via`. */
  readonly name: string;
}

/** What the pages are made of. */
export interface PageDoors {
  readonly signIn: SignIn;
  readonly sessions: Sessions;
  readonly secondFactor: SecondFactor;
  readonly people: Pick<People, 'find'>;
  readonly invitations: Pick<Invitations, 'read' | 'accept'>;
  readonly passwordProof: PasswordProof;

  readonly signInButtons: () => Promise<readonly SignInButton[]>;
  readonly offers: () => Promise<Offers>;
  readonly cookies: Cookies;
}
