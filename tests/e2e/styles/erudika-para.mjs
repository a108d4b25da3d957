/** `erudika-para`: the body as it came, in base64. */

import { createHmac } from "node:crypto";

import { isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const expected = createHmac("sha256", secret).update(body).digest("base64");
  if (!isSame(headers["x-webhook-signature"] ?? "", expected)) {
    throw new Error("refused");
  }
  return JSON.parse(body);
}
