import type { ErrorRows } from './kind.ts';

/** The control plane itself: its settings, database and disk. */
export const processErrors = {
  DATABASE_UNAVAILABLE: { status: 503, retry: true, text: 'The database cannot be reached: {why}.' },
  DATABASE_UNREACHABLE: {
    status: 503,
    retry: true,
    text: 'The database {database} at {host}, port {port}, cannot be reached; it was tried for {seconds} s: {why}. Start it, or correct {setting}. No other database is used in its place.',
  },
  DATABASE_REFUSED: {
    status: 500,
    retry: false,
    text: 'The database {database} at {host}, port {port}, cannot be used: {why}. {fix}',
  },
  DATABASE_START_FAILED: { status: 500, retry: false, text: 'The embedded PostgreSQL does not start: {why}.' },
  MIGRATION_CHANGED: {
    status: 500,
    retry: false,
    text: 'Migration {name} is not the one that was applied to this database on {appliedAt}. Bring the file back; changes go into a new one.',
  },
  MIGRATION_UNKNOWN: {
    status: 500,
    retry: false,
    text: 'This database has migration {name}, which this version of Plinth does not know. Start the version that made it, or a newer one.',
  },
  MIGRATION_FAILED: { status: 500, retry: false, text: 'Migration {name} cannot be applied: {why}.' },
  DATA_DIR_IN_USE: {
    status: 500,
    retry: false,
    text: 'Data directory {directory} is in use by process {pid}. Stop it, or choose another DATA_DIR.',
  },
  DATA_DIR_UNUSABLE: { status: 500, retry: false, text: 'Data directory {directory} cannot be made: {why}.' },
  INSTALLATION_MIXED: {
    status: 500,
    retry: false,
    text: 'The state repository is of installation {git}, the database of {database}. Restore the pair that belongs together.',
  },
  CONFIG_INVALID: { status: 500, retry: false, text: 'The settings are not valid:\n{faults}' },
  PORT_TAKEN: { status: 500, retry: false, text: 'Port {port} on {host} is taken. Set {setting} to another one.' },
  DISK_FULL: { status: 507, retry: true, text: 'No space is left on the disk of {directory}.' },
  AUDIT_UNAVAILABLE: {
    status: 503,
    retry: true,
    text: 'What was asked cannot be recorded in the audit, so it is not confirmed; it may have been done. Try again.',
  },
  STOPPING: { status: 503, retry: true, text: 'The control plane is stopping.' },
  INTERNAL: {
    status: 500,
    retry: false,
    text: 'Something unforeseen happened. The log has it under request {request}.',
  },
} as const satisfies ErrorRows;
