/** `para`: signed like Standard Webhooks, here verified by hand over the bytes as they came. */

import { createHmac } from "node:crypto";

import { isRecent, isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures = "" } = headers;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  const matches = signatures.split(" ").some((signature) => isSame(signature, `v1,${expected}`));
  if (!matches || !isRecent(timestamp)) {
    throw new Error("refused");
  }
  return JSON.parse(body);
}
