/** `github`: by Octokit's library. */

import { verify as isSignedBy } from "@octokit/webhooks-methods";

export async function verify(body, headers, secret) {
  const text = body.toString();
  if (!(await isSignedBy(secret, text, headers["x-hub-signature-256"] ?? ""))) {
    throw new Error("refused");
  }
  return JSON.parse(text);
}
