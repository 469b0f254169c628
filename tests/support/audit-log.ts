import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from '#scripts/cluster/client.ts';

/** One request that the API server answered. A watch has two entries: when it began (ResponseStarted) and its end. */
export interface AuditEntry {
  readonly stage: 'ResponseStarted' | 'ResponseComplete' | 'Panic';
  /** get, list, watch, create, update, patch, delete, deletecollection. */
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent: string;
  /** When the API server received it, in milliseconds since 1970. */
  readonly receivedMs: number;
  /** The status of the answer. */
  readonly code: number;
  readonly namespace: string;
  /** Plural, such as deployments; empty for what is no resource. */
  readonly resource: string;
  readonly name: string;
}

export interface AuditLog {
  /** Every request since the start that is not of the cluster's own parts, in order, all that were answered included. */
  entries(): Promise<readonly AuditEntry[]>;
  /**
   * The entries that came while `run` ran. On the shared cluster other suites' requests are among them, and everywhere
   * those that the test itself sends: tell them apart by namespace, name or user agent.
   */
  during(run: () => Promise<unknown>): Promise<readonly AuditEntry[]>;
}

const policyFile = 'audit-policy.yaml';
const logFile = 'audit.log';

// The parts and the controllers' service accounts are left out, so that what remains are a test's own requests.
const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [parts, system:apiserver]
- level: None
  userGroups: [system:serviceaccounts]
- level: None
  nonResourceURLs: [/readyz, /livez]
- level: Metadata
`;

/** Writes the policy into a cluster's directory and gives the API server's flags for it. */
export function auditFlags(directory: string): readonly string[] {
  writeFileSync(join(directory, policyFile), policy);
  return [`--audit-policy-file=${policyFile}`, `--audit-log-path=${logFile}`, '--audit-log-mode=blocking'];
}

/** Over all readers of this process: two suites of one file read the same log. */
let marks = 0;

/** Reads the log of a cluster that was started with `auditFlags`. */
export function readAuditLog(directory: string, api: Api): AuditLog {
  const file = join(directory, logFile);
  /** An entry is written just after its answer was sent; when the mark's is there, the earlier ones are. */
  const read = async () => {
    marks += 1;
    const mark = `/version?mark=${process.pid}-${marks}`;
    await api('GET', mark);
    for (;;) {
      const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
      const end = lines.findIndex((line) => line.includes(mark));
      if (end >= 0) return lines.slice(0, end).filter((line) => line !== '' && !line.includes('"/version?mark='));
      await sleep(5);
    }
  };
  return {
    entries: async () => (await read()).map(entryOf),
    during: async (run) => {
      const before = (await read()).length;
      await run();
      return (await read()).slice(before).map(entryOf);
    },
  };
}

function entryOf(line: string): AuditEntry {
  const { stage, verb, requestURI, userAgent, requestReceivedTimestamp, responseStatus, objectRef } = JSON.parse(line);
  return {
    stage,
    verb,
    requestURI,
    userAgent: userAgent ?? '',
    receivedMs: Date.parse(requestReceivedTimestamp),
    code: responseStatus?.code ?? 0,
    namespace: objectRef?.namespace ?? '',
    resource: objectRef?.resource ?? '',
    name: objectRef?.name ?? '',
  };
}
