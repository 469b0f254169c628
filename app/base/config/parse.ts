import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import ipaddr from 'ipaddr.js';
import { Secret } from '../secret.ts';
import type { Parser } from './setting.ts';

/** As it came. */
export const anyText: Parser<string> = (text) => text;

/** One of these, in any case; what it is written as on the left, what it means on the right. */
export function oneOf<T>(meanings: Readonly<Record<string, T>>): Parser<T> {
  const known = new Map(Object.entries(meanings).map(([name, value]) => [name.toLowerCase(), value]));
  const wanted = `one of ${Object.keys(meanings).join(', ')}`;
  return (text) => {
    const value = known.get(text.trim().toLowerCase());
    if (value === undefined) throw new Error(wanted);
    return value;
  };
}

const truths = oneOf({ true: true, yes: true, on: true, 1: true, false: false, no: false, off: false, 0: false });

export const truth: Parser<boolean> = (text, reading) => {
  try {
    return truths(text, reading);
  } catch {
    throw new Error('true or false');
  }
};

export const port: Parser<number> = (text) => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new Error('a port from 1 to 65535 (0: any free one)');
  return value;
};

/** Kubernetes and Docker tell containers of a Service `api` by `API_PORT=tcp://10.0.0.1:80`: that is not our port. */
export const ignoresServiceLink = (text: string): string | undefined =>
  /^(tcp|udp|sctp):\/\/\S+$/.test(text) ? 'it is the address of a Service that the cluster set' : undefined;

export function wholeNumber(least: number, most: number): Parser<number> {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) throw new Error(`a whole number, ${least} to ${most}`);
    return value;
  };
}

/** Comma-separated; empty parts do not count. */
export function list<T>(read: Parser<T>): Parser<readonly T[]> {
  return (text, reading) => {
    const parts = text.split(',').map((part) => part.trim());
    try {
      return parts.filter((part) => part !== '').map((part) => read(part, reading));
    } catch (error) {
      throw new Error(`a list, separated by commas, each ${(error as Error).message}`);
    }
  };
}

/** An http or https address, given back without slashes at its end. */
export const httpUrl: Parser<string> = (text) => {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || /\s/.test(text))
    throw new Error('an address such as https://host.example.com');
  if (url.username !== '' || url.password !== '')
    throw new Error('an address without a user or a password in it; there are settings of their own for these');
  return text.replace(/\/+$/, '');
};

/** Scheme, host and port of a web page. */
export const origin: Parser<string> = (text, reading) => {
  const url = URL.parse(httpUrl(text, reading));
  if (url === null || url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw new Error('an origin such as https://app.example.com, without a path');
  return url.origin;
};

/** A host name in lower case. One dot before it is left out: cookies are written so. */
export const domain: Parser<string> = (text) => {
  const name = text.replace(/^\./, '').toLowerCase();
  const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
  if (name.length > 190 || !name.split('.').every((part) => label.test(part)))
    throw new Error('a domain such as studio.example.com, without protocol, port or path');
  return name;
};

export const email: Parser<string> = (text) => {
  if (!/^[^\s@]+@[^\s@]+$/.test(text)) throw new Error('an e-mail address');
  return text.toLowerCase();
};

/** A network in CIDR form; a single address becomes a network of one. */
export const network: Parser<string> = (text) => {
  if (isIP(text) !== 0) return `${text}/${isIP(text) === 4 ? 32 : 128}`;
  if (!ipaddr.isValidCIDR(text)) throw new Error('an address or a network such as 10.0.0.0/8');
  return text;
};

/** A file's path; `~/` is the home of whoever runs Plinth, since nothing else expands it in a file. */
export const path: Parser<string> = (text) => (text.startsWith('~/') ? join(homedir(), text.slice(2)) : text);

export const kubernetesName: Parser<string> = (text) => {
  if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(text)) throw new Error('the name of a Kubernetes object');
  return text;
};

export const image: Parser<string> = (text) => {
  if (!/^\S{1,255}$/.test(text)) throw new Error('an image such as node:24-alpine');
  return text;
};

/** A text that never prints. A line end at its end, which files and `echo` leave, is taken off. */
export const secretText: Parser<Secret> = (text, reading) => {
  const value = text.replace(/[\r\n]+$/, '');
  if (value !== text) reading.warn('ended with a line end, which is left out');
  if (value === '') throw new Error('a secret of at least one character');
  return new Secret(value);
};

/** A secret that is known by how it begins. */
export function secretWithPrefix(...prefixes: readonly string[]): Parser<Secret> {
  return (text, reading) => {
    const secret = secretText(text, reading);
    if (!prefixes.some((prefix) => secret.reveal().startsWith(prefix)))
      throw new Error(`a text that begins with ${prefixes.join(' or ')}`);
    return secret;
  };
}
