import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { Fault } from './errors.ts';
import { type LogLevel, logLevels } from './log.ts';
import { Secret } from './secret.ts';

/** One setting: its names (the first is ours, the rest are aliases), what it does, and how its text becomes a value. */
interface Setting<T> {
  readonly names: readonly [string, ...string[]];
  readonly about: string;
  /** The default as a person would write it; shown in the reference page. */
  readonly defaultText: string;
  readonly secret?: boolean;
  /** Throws an Error whose message says what was wanted. `undefined` means that the setting is absent. */
  parse(text: string | undefined): T;
}

/** The only source of settings: parsing, defaults, aliases and the reference page come from this table. */
export const settings = {
  dataDirectory: {
    names: ['DATA_DIR'],
    about: 'Where the embedded database, the embedded repository and generated keys live.',
    defaultText: '.plinth',
    parse: (text) => resolve(text ?? '.plinth'),
  } satisfies Setting<string>,
  host: {
    names: ['HOST'],
    about: 'The address to listen on.',
    defaultText: '127.0.0.1',
    parse: (text) => {
      if (text !== undefined && text !== 'localhost' && !isIP(text))
        throw new Error('an IP address such as 127.0.0.1 or 0.0.0.0');
      return text === 'localhost' ? '127.0.0.1' : (text ?? '127.0.0.1');
    },
  } satisfies Setting<string>,
  apiPort: portSetting(['API_PORT', 'BACKEND_PORT'], 'Port of the API and of Git over HTTP.', 9000),
  consolePort: portSetting(
    ['CONSOLE_PORT', 'FRONTEND_PORT'],
    'Port of the console; until it exists, of the API documentation page.',
    3000,
  ),
  metricsPort: portSetting(['METRICS_PORT'], 'Port of /metrics.', 9050),
  adminEmail: {
    names: ['AUTH_ADMIN_EMAIL'],
    about: 'E-mail address of the first administrator.',
    defaultText: 'admin@localhost.ai',
    parse: (text) => {
      const email = text ?? 'admin@localhost.ai';
      if (!/^[^\s@]+@[^\s@]+$/.test(email)) throw new Error('an e-mail address');
      return email.toLowerCase();
    },
  } satisfies Setting<string>,
  adminPassword: {
    names: ['AUTH_ADMIN_PASSWORD'],
    about: 'Password of the first administrator.',
    defaultText: 'generated at the first start',
    secret: true,
    parse: (text) => {
      if (text === undefined) return undefined;
      if (text.length < 8 || text.length > 128) throw new Error('8 to 128 characters');
      return new Secret(text);
    },
  } satisfies Setting<Secret | undefined>,
  kubeconfig: {
    names: ['KUBECONFIG'],
    about: 'Kubeconfig of the environment local. A cluster that is not plainly local also needs CLUSTER_CONSENT.',
    defaultText: 'cluster/kubeconfig in DATA_DIR, else ~/.kube/config, else the in-cluster account',
    parse: (text) => text,
  } satisfies Setting<string | undefined>,
  clusterConsent: {
    names: ['CLUSTER_CONSENT'],
    about:
      'The name of the kubeconfig context that Plinth may use although it is not plainly local (minikube, kind, its own).',
    defaultText: 'none',
    parse: (text) => text,
  } satisfies Setting<string | undefined>,
  logLevel: {
    names: ['LOG_LEVEL'],
    about: `How much is logged: ${logLevels.join(', ')}.`,
    defaultText: 'info',
    parse: (text) => {
      const level = (text ?? 'info').toLowerCase() as LogLevel;
      if (!logLevels.includes(level)) throw new Error(`one of ${logLevels.join(', ')}`);
      return level;
    },
  } satisfies Setting<LogLevel>,
};

type Settings = typeof settings;
export type Config = { readonly [Name in keyof Settings]: ReturnType<Settings[Name]['parse']> };

/**
 * Reads the settings once, into a frozen object.
 * @throws Fault CONFIG_INVALID with every fault at once: the variable, what came, what was wanted.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const entries = Object.entries(settings).map(([name, setting]) => {
    const given = setting.names.filter((alias) => env[alias] !== undefined && env[alias] !== '');
    const values = new Set(given.map((alias) => env[alias]));
    if (values.size > 1)
      faults.push(`${given.join(' and ')} are the same setting with different values; keep one of them`);
    const text = given[0] === undefined ? undefined : env[given[0]];
    try {
      return [name, setting.parse(text)];
    } catch (error) {
      const came = 'secret' in setting ? 'a value' : JSON.stringify(text);
      faults.push(`${given[0] ?? setting.names[0]} is ${came}; wanted is ${(error as Error).message}`);
      return [name, undefined];
    }
  });
  if (faults.length > 0)
    throw new Fault('CONFIG_INVALID', { faults: faults.map((fault) => `  - ${fault}`).join('\n') });
  return Object.freeze(Object.fromEntries(entries)) as Config;
}

function portSetting(names: readonly [string, ...string[]], about: string, standard: number): Setting<number> {
  return {
    names,
    about,
    defaultText: String(standard),
    parse: (text) => {
      if (text === undefined) return standard;
      const port = Number(text);
      if (!/^\d+$/.test(text) || port > 65_535) throw new Error('a port from 1 to 65535 (0: any free one)');
      return port;
    },
  };
}
