/** `para-timestamp-body`: time and body under the whole secret, `whsec_` included. */

import { createHmac } from "node:crypto";

import { isRecent, isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const { "webhook-timestamp": timestamp, "webhook-signature": signature = "" } = headers;
  const expected = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("base64");
  if (!isSame(signature, expected) || !isRecent(timestamp)) {
    throw new Error("refused");
  }
  return JSON.parse(body);
}
