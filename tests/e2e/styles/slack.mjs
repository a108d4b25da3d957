/** `slack`: version, time and body. */

import { createHmac } from "node:crypto";

import { isRecent, isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const { "x-slack-request-timestamp": timestamp, "x-slack-signature": signature = "" } = headers;
  const expected = createHmac("sha256", secret).update(`v0:${timestamp}:`).update(body).digest("hex");
  if (!isSame(signature, `v0=${expected}`) || !isRecent(timestamp)) {
    throw new Error("refused");
  }
  return JSON.parse(body);
}
