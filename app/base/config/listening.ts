import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type LogLevel, logLevels } from '../log.ts';
import { httpUrl, ignoresServiceLink, oneOf, port, truth } from './parse.ts';
import { setting } from './setting.ts';

/** Those of our log, and the names that the first reference has for two of them. */
const level = oneOf<LogLevel>({
  ...Object.fromEntries(logLevels.map((name) => [name, name])),
  warning: 'warn',
  critical: 'fatal',
});

/** Where Plinth keeps its data, what it listens on, and how much it says. */
export const listeningRows = {
  production: setting({
    names: ['NODE_ENV'],
    about:
      'production: known, weak and default secrets are refused, origins that are not named too. Anything else: they are warned about.',
    standard: 'development',
    read: (text) => text.trim().toLowerCase() === 'production',
  }),
  dataDirectory: setting({
    names: ['DATA_DIR'],
    about: 'Where the embedded database, the embedded repository and generated keys live.',
    standard: '.plinth',
    read: (text) => resolve(text),
  }),
  host: setting({
    names: ['HOST', 'HOSTNAME'],
    about: 'The address to listen on. HOSTNAME counts only where it is an IP address: containers set it to their name.',
    standard: '127.0.0.1',
    ignores: (text, name) =>
      name === 'HOSTNAME' && isIP(text) === 0 ? "it is a machine's name, not an IP address" : undefined,
    read: (text) => {
      if (text !== 'localhost' && !isIP(text)) throw new Error('an IP address such as 127.0.0.1 or 0.0.0.0');
      return text === 'localhost' ? '127.0.0.1' : text;
    },
  }),
  apiPort: setting({
    names: ['API_PORT', 'BACKEND_PORT'],
    about: 'Port of the API and of Git over HTTP.',
    standard: '9000',
    ignores: ignoresServiceLink,
    read: port,
  }),
  consolePort: setting({
    names: ['CONSOLE_PORT', 'FRONTEND_PORT'],
    about: 'Port of sign-in and account pages, and of the console once it exists. It serves the same as API_PORT.',
    standard: '3000',
    ignores: ignoresServiceLink,
    read: port,
  }),
  metricsPort: setting({
    names: ['METRICS_PORT'],
    about: 'Port of /metrics.',
    standard: '9050',
    ignores: ignoresServiceLink,
    read: port,
  }),
  logLevel: setting({
    names: ['LOG_LEVEL', 'LOGGING_LEVEL', 'ARCHESTRA_LOGGING_LEVEL'],
    about:
      'How much is logged: trace, debug, info, warn, error, fatal, silent; WARNING and CRITICAL are warn and fatal. Any case.',
    standard: 'info',
    read: level,
  }),
  quickstart: setting({
    names: ['QUICKSTART', 'ARCHESTRA_QUICKSTART'],
    about: 'Trying Plinth on one machine: web pages from addresses of private networks are trusted too.',
    standard: 'false',
    read: truth,
  }),
  deploymentMode: setting({
    names: ['DEPLOYMENT_MODE'],
    about:
      'Runtime of the environment local: kubernetes or docker. Until the Docker runtime exists, docker means none: Git is written, nothing is started.',
    unset: 'what the machine has: kubernetes where a cluster is found, else none',
    read: (text, reading) => {
      const mode = oneOf<'docker' | 'kubernetes'>({ docker: 'docker', kubernetes: 'kubernetes' })(text, reading);
      if (mode === 'docker')
        reading.warn(
          'is docker, whose runtime does not exist yet: the environment local has runtime none, so that Git is written and nothing is started. With a cluster, set it to kubernetes',
        );
      return mode;
    },
  }),
  appPort: setting({
    names: ['APP_PORT'],
    about: 'Port of the host on which projects are reached with the Docker runtime.',
    standard: '80',
    activeIn: 'Docker runtime',
    ignores: ignoresServiceLink,
    read: port,
  }),
  devServerBaseUrl: setting({
    names: ['DEV_SERVER_BASE_URL'],
    about: 'Address under which projects are reached with the Docker runtime.',
    standard: 'http://localhost',
    activeIn: 'Docker runtime',
    read: httpUrl,
  }),
};
