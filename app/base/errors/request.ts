import type { ErrorRows } from './kind.ts';

/** What is wrong with a request before it is known what it is about. */
export const requestErrors = {
  BODY_INVALID: { status: 400, retry: false, text: 'The request body cannot be read: {why}.' },
  REQUEST_INVALID: { status: 400, retry: false, text: 'The request is not valid; see findings.' },
  BASIC_FROM_BROWSER: {
    status: 403,
    retry: false,
    text: 'HTTP Basic is refused for requests that a web page sends; use a token.',
  },
  ORIGIN_REFUSED: {
    status: 403,
    retry: false,
    text: 'A page of {source} may not send this request. Open the page of Plinth itself; if this origin is yours, name it in AUTH_ADDITIONAL_TRUSTED_ORIGINS.',
  },
  HOST_MISDIRECTED: {
    status: 421,
    retry: false,
    text: 'Host {host} belongs to a project; the control plane does not answer for it.',
  },
  HOST_AMBIGUOUS: { status: 400, retry: false, text: 'A request names one host, in Host and target alike.' },
  CSRF_TOKEN_WRONG: {
    status: 403,
    retry: false,
    text: 'The CSRF token of this session is missing or wrong. Send it as X-CSRF-Token, or load the page again.',
  },
  ROUTE_UNKNOWN: {
    status: 404,
    retry: false,
    text: 'There is no {method} {path}. GET /openapi.json lists every route.',
  },
  METHOD_UNKNOWN: { status: 405, retry: false, text: '{path} has no {method}; it has {allowed}.' },
  BODY_TOO_LARGE: { status: 413, retry: false, text: 'The body is larger than {limitBytes} bytes.' },
  REQUEST_TOO_SLOW: { status: 408, retry: true, text: 'The request did not come completely in time.' },
  REQUEST_UNREADABLE: { status: 400, retry: false, text: 'This is not HTTP/1.1 as RFC 9112 has it.' },
  HEAD_TOO_LARGE: { status: 431, retry: false, text: 'The head of the request is larger than {limitBytes} bytes.' },
  MEDIA_TYPE_UNKNOWN: { status: 415, retry: false, text: 'Content-Type {came} is not one of {wanted}.' },
  ENCODING_UNKNOWN: { status: 415, retry: false, text: 'Content-Encoding {came} is not one of {wanted}.' },
  TOO_MANY_REQUESTS: { status: 429, retry: true, text: 'Too many requests; try again in {seconds} s.' },
} as const satisfies ErrorRows;
