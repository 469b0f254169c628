import { list, network } from './parse.ts';
import { setting } from './setting.ts';

/** Where requests may go whose address a person named. */
export const egressRows = {
  egressAllowedRanges: setting({
    names: ['EGRESS_ALLOWED_RANGES'],
    about:
      'Networks of your own that notifications may be sent to, such as 10.20.0.0/16, also over plain HTTP. Everything else that is private is refused; metadata and link-local addresses always are.',
    unset: 'none',
    read: list(network),
  }),
};
