/** `para-timestamp-body-decoded`: time and body under the key that stands in base64 after `whsec_`. */

import { createHmac } from "node:crypto";

import { isRecent, isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const { "webhook-timestamp": timestamp, "webhook-signature": signature = "" } = headers;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${timestamp}.`).update(body).digest("base64");
  if (!isSame(signature, expected) || !isRecent(timestamp)) {
    throw new Error("refused");
  }
  return JSON.parse(body);
}
