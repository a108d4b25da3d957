/** What every receiver needs that verifies by hand. */

import { timingSafeEqual } from "node:crypto";

const TOLERANCE_SECS = 300;

/** Whether two texts are the same; how long it takes does not tell where they differ. */
export function isSame(one, other) {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Whether a time in Unix seconds is at most five minutes off: what was kept for longer is not to be sent again. */
export function isRecent(timestamp) {
  return Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_SECS;
}
