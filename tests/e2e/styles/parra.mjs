/** `parra`: the body as it came, in hexadecimal. */

import { createHmac } from "node:crypto";

import { isSame } from "./compare.mjs";

export function verify(body, headers, secret) {
  const expected = createHmac("sha256", secret).update(body).digest("hex");
  if (!isSame(headers["parra-signature"] ?? "", expected)) {
    throw new Error("refused");
  }
  return JSON.parse(body);
}
