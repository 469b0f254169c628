import { createLog, type Log, type LogLevel } from '#base/log.ts';

/** A log whose lines a test can read. */
export function captureLog(level: LogLevel = 'trace'): {
  readonly log: Log;
  lines(): readonly Readonly<Record<string, unknown>>[];
  text(): string;
} {
  let all = '';
  const write = (line: string) => {
    all += line;
  };
  const log = createLog({ level, to: { write } });
  return {
    log,
    lines: () =>
      all
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
    text: () => all,
  };
}
