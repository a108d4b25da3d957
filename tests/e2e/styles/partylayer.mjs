/** `partylayer`: its receivers parse the body and verify what they write again. */

import { createHmac } from "node:crypto";

import { isRecent, isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const { "x-partylayer-timestamp": timestamp, "x-partylayer-signature": signature = "" } = headers;
  const event = JSON.parse(body);
  const signed = `${timestamp}.${JSON.stringify(event)}`;
  const expected = createHmac("sha256", secret).update(signed).digest("hex");
  if (!isSame(signature, `sha256=${expected}`) || !isRecent(timestamp)) {
    throw new Error("refused");
  }
  return event;
}
