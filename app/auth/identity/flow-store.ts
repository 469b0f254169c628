import type { Queryable } from '#database/pool.ts';

export interface FlowRow {
  readonly provider: string;
  /** Where the browser goes on to; one of our paths. */
  readonly next: string;
  /** SAML: the id of our request. */
  readonly requestId: string | null;
  /** SAML: what the answer said. */
  readonly answer: unknown;
}

interface FlowKeys {
  readonly stateHash: Buffer;
  readonly browserHash: Buffer;
}

type NewFlow = FlowKeys & Omit<FlowRow, 'answer'> & { readonly now: Date; readonly expiresAt: Date };

/** How many sign-ins that nobody went on with are kept; the newest are. */
export interface FlowRoom {
  readonly ofBrowser: number;
  /**
   * Of all browsers. A stranger can begin as many as they like, each as another browser: one that takes half a minute at
   * its provider survives as long as they begin fewer than this in that time.
   */
  readonly ofAll: number;
}

const room: FlowRoom = { ofBrowser: 5, ofAll: 20_000 };
const surplusOfAll = `select state_hash from identity_flows where answer is null
  order by expires_at desc, state_hash offset $1`;
const surplusOfBrowser = `select state_hash from identity_flows where answer is null and browser_hash = $2
  order by expires_at desc, state_hash offset $1`;

/** Sign-ins under way. Whoever begins one is never refused: the oldest make room. */
export function createFlows(db: Queryable, { ofBrowser, ofAll }: FlowRoom = room) {
  // Looking through a full table at each one would cost more than the few rows beyond.
  const lookEach = Math.ceil(ofAll / 100);
  let begun = 0;
  return {
    /** @param isNew the browser has begun none before */
    insert: async (flow: NewFlow, isNew: boolean): Promise<void> => {
      await db.query('delete from identity_flows where expires_at < $1', [flow.now]);
      await db.query(
        `insert into identity_flows (state_hash, browser_hash, provider, next, request_id, expires_at)
         values ($1, $2, $3, $4, $5, $6)`,
        [flow.stateHash, flow.browserHash, flow.provider, flow.next, flow.requestId, flow.expiresAt],
      );
      if (!isNew)
        await db.query(`delete from identity_flows where state_hash in (${surplusOfBrowser})`, [
          ofBrowser,
          flow.browserHash,
        ]);
      begun += 1;
      if (begun % lookEach === 0)
        await db.query(`delete from identity_flows where state_hash in (${surplusOfAll})`, [ofAll]);
    },
  };
}

/** Ends a sign-in of this browser with this provider: of several who ask, one gets it. */
export async function takeFlow(
  db: Queryable,
  flow: FlowKeys & { readonly provider: string; readonly now: Date },
): Promise<FlowRow | undefined> {
  const { rows } = await db.query<FlowRow>(
    `delete from identity_flows where state_hash = $1 and browser_hash = $2 and provider = $3 and expires_at > $4
     returning provider, next, request_id as "requestId", answer`,
    [flow.stateHash, flow.browserHash, flow.provider, flow.now],
  );
  return rows[0];
}

/** The id of the request that waits for an answer under this state. */
export async function findWaitingRequest(
  db: Queryable,
  flow: { readonly stateHash: Buffer; readonly provider: string; readonly now: Date },
): Promise<string | undefined> {
  const { rows } = await db.query<{ request_id: string }>(
    `select request_id from identity_flows
      where state_hash = $1 and provider = $2 and expires_at > $3 and request_id is not null and answer is null`,
    [flow.stateHash, flow.provider, flow.now],
  );
  return rows[0]?.request_id;
}

/** @returns false when it has an answer already */
export async function answerFlow(db: Queryable, stateHash: Buffer, answer: object): Promise<boolean> {
  const { rowCount } = await db.query(
    'update identity_flows set answer = $2 where state_hash = $1 and answer is null',
    [stateHash, JSON.stringify(answer)],
  );
  return rowCount === 1;
}

/** @returns false when this assertion was taken before */
export async function rememberAssertion(
  db: Queryable,
  assertion: { readonly provider: string; readonly id: string; readonly now: Date; readonly expiresAt: Date },
): Promise<boolean> {
  await db.query('delete from identity_assertions where expires_at < $1', [assertion.now]);
  const { rowCount } = await db.query(
    'insert into identity_assertions (provider, id, expires_at) values ($1, $2, $3) on conflict do nothing',
    [assertion.provider, assertion.id, assertion.expiresAt],
  );
  return rowCount === 1;
}
