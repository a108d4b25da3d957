/** A scheme of one's own: id and time beside the signature in one header, `acme-signature: id=…;t=…;s=…`. */

import { createHmac } from "node:crypto";

import { isRecent, isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const [, id, timestamp, signature] = /^id=([^;]+);t=(\d+);s=(.+)$/.exec(headers["acme-signature"]) ?? [];
  const expected = createHmac("sha256", secret).update(`${id}/${timestamp}/`).update(body).digest("hex");
  if (!isSame(signature ?? "", expected) || !isRecent(timestamp)) {
    throw new Error("refused");
  }
  return JSON.parse(body);
}
