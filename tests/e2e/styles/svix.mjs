/** Svix's library, which takes the headers of Standard Webhooks, and its own. */

import { Webhook } from "svix";

export function verify(body, headers, secret) {
  return new Webhook(secret).verify(body, headers);
}
