import { accessRows, type OAuthClient, signInProviders } from './config/access.ts';
import { chatopsRows, checkChannels, incomingEmailRows, knowledgeGraphRows } from './config/channels.ts';
import { chooseDatabase, type DatabasePlace, databaseRows } from './config/database.ts';
import { egressRows } from './config/egress.ts';
import {
  type Analytics,
  analyticsOf,
  analyticsRows,
  billingRows,
  checkExtras,
  mcpRows,
  storageRows,
} from './config/extras.ts';
import { gitRows, type StateRemote, stateRemote } from './config/git.ts';
import { checkKeys, keyRows } from './config/keys.ts';
import { kubernetesRows, type ManifestSettings, manifestSettings, snapshotRows } from './config/kubernetes.ts';
import { listeningRows } from './config/listening.ts';
import { chatKeySetting, chatProviders, checkLlm, llmRows } from './config/llm.ts';
import { type MailServer, mailRows, mailServer } from './config/mail.ts';
import { findUnknown, nearestName, otherNames } from './config/names.ts';
import { observabilityRows, type TraceCollector, traceCollector } from './config/observability.ts';
import { originRows, type Places, placesOf } from './config/origins.ts';
import {
  type EnvironmentVariables,
  openReadings,
  type Readings,
  type ReadSetting,
  type Sources,
} from './config/readings.ts';
import { type SettingReport, type SettingsReport, withoutCredentials } from './config/report.ts';
import type { Findings, Rows, Setting, Values } from './config/setting.ts';
import { type SecretsPlace, secretsPlace, vaultRows } from './config/vault.ts';
import { Fault } from './errors.ts';
import { Secret } from './secret.ts';

export { readEnvFile } from './config/env-file.ts';
export type { GitProvider, RemoteCredential, StateRemote } from './config/git.ts';
export { type Notice, type SettingReport, type SettingsReport, sentencesOf } from './config/report.ts';
export type { VaultAccess } from './config/vault.ts';

/** The only source of settings: parsing, defaults, aliases, the commands and the pages come from this table. */
export const settings = {
  ...listeningRows,
  ...keyRows,
  ...accessRows,
  ...databaseRows,
  ...gitRows,
  ...originRows,
  ...kubernetesRows,
  ...snapshotRows,
  ...vaultRows,
  ...mailRows,
  ...observabilityRows,
  ...egressRows,
  ...llmRows,
  ...mcpRows,
  ...chatopsRows,
  ...incomingEmailRows,
  ...knowledgeGraphRows,
  ...storageRows,
  ...billingRows,
  ...analyticsRows,
};

/** The table by subject, in the order of the pages, with the keys of those providers that `names` speak of. */
export function subjectsFor(names: Iterable<string> = []): Readonly<Record<string, Rows>> {
  const keys = chatProviders(names).map((provider) => [`${chatField}${provider}`, chatKeySetting(provider)]);
  return { ...subjects, [providers]: { ...llmRows, ...Object.fromEntries(keys) } };
}

const providers = 'Model providers';
const chatField = 'chatApiKeys.';
const subjects: Readonly<Record<string, Rows>> = {
  'Paths, ports and log': listeningRows,
  Keys: keyRows,
  'Sign-in': accessRows,
  Database: databaseRows,
  'State repository': gitRows,
  'Domains and origins': originRows,
  'Kubernetes (the environment local)': kubernetesRows,
  Snapshots: snapshotRows,
  'Secrets and Vault': vaultRows,
  Mail: mailRows,
  Observability: observabilityRows,
  'Requests to others': egressRows,
  [providers]: llmRows,
  'MCP servers': mcpRows,
  'Microsoft Teams': chatopsRows,
  'Incoming e-mail': incomingEmailRows,
  'Knowledge graph': knowledgeGraphRows,
  'Object storage': storageRows,
  Billing: billingRows,
  Analytics: analyticsRows,
};

/** What follows from several settings together. */
interface Derived extends Places, SecretsPlace, DatabasePlace {
  /** What environment.yaml of `local` is given; undefined: not set. */
  readonly manifestSettings: ManifestSettings;
  readonly github: OAuthClient | undefined;
  readonly google: OAuthClient | undefined;
  /** How mail is sent; undefined: not at all. */
  readonly mailServer: MailServer | undefined;
  /** The Git remote that holds the state repository; undefined: it is in DATA_DIR. */
  readonly stateRemote: StateRemote | undefined;
  /** Where traces go; undefined: nowhere. */
  readonly traceCollector: TraceCollector | undefined;
  readonly analytics: Analytics | undefined;
  /** The organization's last fallback keys: provider in lower case → key. */
  readonly chatApiKeys: Readonly<Record<string, Secret>>;
}

/** Every setting by its field, and what follows from several of them. Frozen. */
export type Config = Values<typeof settings> & Derived;

/** What reading the settings found. `config` is undefined where there are faults. */
export interface Examined {
  readonly config: Config | undefined;
  readonly report: SettingsReport;
  /** Each says what came, what was wanted and how to mend it. */
  readonly faults: readonly string[];
}

/** Reads the settings and tells everything about them, faults too. */
export function examineSettings(sources: Sources): Examined {
  const readings = openReadings(sources, settings.production);
  const names = { env: Object.keys(sources.env), file: [...readings.file.values.keys()] };
  const table = subjectsFor([...names.env, ...names.file]);
  const known = new Set(Object.values(table).flatMap((rows) => Object.values(rows).flatMap((row) => row.names)));
  tellOfFile(readings, known);
  const rows = readRows(table, readings);
  const config = derive(rows, readings);
  tellOfOtherNames([...names.env, ...names.file], readings);
  const report = {
    settings: rows.map(({ report }) => report),
    notices: readings.notices,
    unknown: findUnknown(names.env, names.file, known),
  };
  return { config: readings.faults.length === 0 ? config : undefined, report, faults: readings.faults };
}

/**
 * The settings, and what is to be known about them.
 * @throws Fault CONFIG_INVALID with every fault at once: the variable, what came, what was wanted, the fix
 */
export function loadSettings(sources: Sources): { readonly config: Config; readonly report: SettingsReport } {
  const { config, report, faults } = examineSettings(sources);
  if (config === undefined)
    throw new Fault('CONFIG_INVALID', { faults: faults.map((fault) => `  - ${fault}`).join('\n') });
  return { config, report };
}

/** The settings of an environment alone. @throws Fault CONFIG_INVALID */
export function readConfig(env: EnvironmentVariables): Config {
  return loadSettings({ env }).config;
}

interface ReadRow extends ReadSetting {
  readonly field: string;
  readonly report: SettingReport;
}

function readRows(table: Readonly<Record<string, Rows>>, readings: Readings): readonly ReadRow[] {
  return Object.entries(table).flatMap(([subject, rows]) =>
    Object.entries(rows).map(([field, row]) => {
      const read = readings.read(field, row);
      return { ...read, field, report: reportOf(subject, field, row, read) };
    }),
  );
}

function reportOf(subject: string, field: string, row: Setting<unknown>, read: ReadSetting): SettingReport {
  const { origin, givenAs, text } = read;
  const given = row.secret ? '[secret]' : withoutCredentials(text ?? '');
  const valueText = text === undefined ? row.defaultText : given;
  const hasValue = text !== undefined || row.standard !== undefined;
  return { field, subject, name: row.names[0], valueText, hasValue, origin, givenAs, waitsFor: row.activeIn };
}

/** The values of the rows, and what the rules between them make of these. */
function derive(rows: readonly ReadRow[], findings: Findings): Config {
  const isChatKey = ({ field }: ReadRow) => field.startsWith(chatField);
  // Each row read its own field: together they are what the table says.
  const values = Object.fromEntries(
    rows.filter((row) => !isChatKey(row)).map(({ field, value }) => [field, value]),
  ) as Values<typeof settings>;
  const places = placesOf(values, findings);
  const secrets = secretsPlace(values, findings);
  const given = new Map(rows.map(({ field, givenAs }) => [field, givenAs]));
  const givenAs = (field: string) => given.get(field);
  const database = chooseDatabase(values, { givenAs, hasVault: secrets.vault !== undefined }, findings);
  const hasDomain = givenAs('appDomain') !== undefined || givenAs('projectsDomain') !== undefined;
  const hasExternalDatabase = database.databaseUrl !== undefined || database.databaseUrlVaultRef !== undefined;
  checkKeys(values, { hasExternalDatabase }, findings);
  checkLlm(values, findings);
  checkChannels(values, findings);
  checkExtras(values, findings);
  return Object.freeze({
    ...values,
    ...places,
    ...secrets,
    ...database,
    ...signInProviders(values, findings),
    manifestSettings: manifestSettings(values, hasDomain ? places.projectsDomain : undefined),
    mailServer: mailServer(values, findings),
    stateRemote: stateRemote(values, findings),
    traceCollector: traceCollector(values, findings),
    analytics: analyticsOf(values),
    chatApiKeys: Object.freeze(
      Object.fromEntries(
        rows
          .filter((row) => isChatKey(row) && row.value instanceof Secret)
          // Just seen to be one.
          .map(({ field, value }) => [field.slice(chatField.length), value as Secret]),
      ),
    ),
  });
}

/** What is wrong with the file as such. */
function tellOfFile({ file, fault, warn }: Readings, known: ReadonlySet<string>): void {
  for (const { name, lines } of file.doubled.filter((each) => known.has(each.name)))
    fault([], `${name} is set in lines ${lines.join(' and ')} of .env with different values; keep one of them`);
  if (file.unreadable.length > 0)
    warn(`Line ${file.unreadable.join(', ')} of .env cannot be read as NAME=value and does not count.`);
  for (const name of file.unfilled.filter((each) => known.has(each)))
    warn(`${name} of .env holds \${…}, which is not filled in here; write the value itself.`);
}

function tellOfOtherNames(names: readonly string[], { info }: Readings): void {
  for (const name of new Set(names)) {
    const what = otherNames.get(name);
    if (what !== undefined) info(`${name} ${what}.`);
  }
}

/** A setting that goes by this name, in any case, or what else the name is. */
export interface NameInfo {
  readonly row: Setting<unknown> | undefined;
  readonly subject: string | undefined;
  readonly field: string | undefined;
  /** What a known name that is no setting is. */
  readonly otherwise: string | undefined;
  /** The nearest known name of one that is not known. */
  readonly nearest: string | undefined;
}

/** What a name means, whichever of its aliases it is. */
export function explainName(given: string): NameInfo {
  const name = given.trim().toUpperCase();
  const table = subjectsFor([name]);
  const nothing = { row: undefined, subject: undefined, field: undefined, otherwise: undefined, nearest: undefined };
  for (const [subject, rows] of Object.entries(table))
    for (const [field, row] of Object.entries(rows))
      if (row.names.includes(name)) return { ...nothing, row, subject, field };
  const otherwise = otherNames.get(name);
  if (otherwise !== undefined) return { ...nothing, otherwise };
  const known = new Set(Object.values(table).flatMap((rows) => Object.values(rows).flatMap((row) => row.names)));
  return { ...nothing, nearest: nearestName(name, known) };
}
