import { type DestinationStream, destination, type Logger, pino } from 'pino';

/**
 * JSON lines: a constant message, data in fields. `info` is a change of state, `error` something a person must act on.
 * Values of class Secret print as [secret] by themselves.
 */
export type Log = Logger;

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** A logger that writes to `to` (standard error by default, without blocking). */
export function createLog(options: { level: LogLevel; to?: DestinationStream }): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.to ?? destination({ fd: 2, sync: false }),
  );
}
