/** What can go wrong with one request. "After" is after the API server carried it out. */
export const requestFaults = [
  /** 429, without and with a second to wait. */
  'crowded',
  'crowdedForASecond',
  'error500',
  'error503',
  'error504',
  /** The connection stays open and nothing ever comes. */
  'silentBefore',
  'silentAfter',
  'resetBefore',
  'resetAfter',
  /** The body ends in the middle, and with it the connection. */
  'cutBody',
  /** The body ends in the middle, and HTTP says that this is all. */
  'cutJson',
  /** 404 without a Status: the group is not served, as when an API server has just begun. */
  'missing',
  'slow',
  /** A list, or page of it, that is well-formed and lacks objects: half of them, or all. */
  'shortList',
] as const;
export type RequestFault = (typeof requestFaults)[number];

/** What can go wrong with one watch. */
export const watchFaults = [
  /** Refused: 410 as the answer, 410 as an event, 429, 500, the group is not there, no answer at all. */
  'gone',
  'goneEvent',
  'crowdedWatch',
  'brokenWatch',
  'missingKind',
  'silentWatch',
  /** The connection ends in the middle of an event, or in order but early. */
  'cutWatch',
  'endedWatch',
  /** Stays open, and from some moment on nothing comes any more. */
  'stalledWatch',
  /** Every event comes late, in its order. */
  'slowWatch',
  /** Every event comes twice. */
  'doubledWatch',
  /** The listing at the begin lacks objects and is said to be complete. */
  'shortWatch',
] as const;
export type WatchFault = (typeof watchFaults)[number];
