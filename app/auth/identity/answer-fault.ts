import { Fault } from '#base/errors.ts';
import { OutboundError, reasonOf } from './outbound.ts';

interface Named {
  readonly name: string;
}

/** Of the network and of the clock: the provider is down, or in between is. */
const outCodes =
  /^(E[A-Z]+|UND_ERR_[A-Z_]+|OAUTH_TIMEOUT|OAUTH_ABORT|CERT_[A-Z_]+|[A-Z_]*SELF_SIGNED[A-Z_]*|UNABLE_TO_[A-Z_]+)$/;

/** @returns Fault IDENTITY_PROVIDER_UNAVAILABLE */
export const unavailable = (provider: Named, error: unknown) =>
  new Fault('IDENTITY_PROVIDER_UNAVAILABLE', { provider: provider.name, why: reasonOf(error) });

/** What a library throws over an answer → Fault. Its own error may hold tokens, so only its words are kept. */
export function answerFault(provider: Named): (error: unknown) => never {
  return (error) => {
    if (Fault.is(error)) throw error;
    if (isOut(error)) throw unavailable(provider, error);
    const code = errorCodeOf(error);
    const why = code === undefined ? reasonOf(error) : `${reasonOf(error)} (${code})`;
    throw new Fault('IDENTITY_ANSWER_INVALID', { provider: provider.name, why });
  };
}

function isOut(error: unknown): boolean {
  for (let here: unknown = error, depth = 0; here instanceof Error && depth < 4; here = here.cause, depth++) {
    const { code } = here as { code?: unknown };
    if (here instanceof OutboundError || here.name === 'TimeoutError') return true;
    if (typeof code === 'string' && outCodes.test(code) && !code.startsWith('ERR_')) return true;
  }
  return false;
}

/** What the token endpoint named as its reason. */
function errorCodeOf(error: unknown): string | undefined {
  const { error: code } = error as { error?: unknown };
  return typeof code === 'string' && /^[a-z_]{1,60}$/.test(code) ? code : undefined;
}
