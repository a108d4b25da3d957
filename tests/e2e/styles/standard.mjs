/** `standard`: Standard Webhooks, by its official library. */

import { Webhook } from "standardwebhooks";

export function verify(body, headers, secret) {
  return new Webhook(secret).verify(body, headers);
}
