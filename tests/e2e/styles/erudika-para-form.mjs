/** `erudika-para-form`: what is signed is the form's field `payload`, not the form. */

import { createHmac } from "node:crypto";

import { isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const payload = new URLSearchParams(body.toString()).get("payload") ?? "";
  const expected = createHmac("sha256", secret).update(payload).digest("base64");
  if (!isSame(headers["x-webhook-signature"] ?? "", expected)) {
    throw new Error("refused");
  }
  return JSON.parse(payload);
}
