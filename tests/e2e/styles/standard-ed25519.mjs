/** `standard-ed25519`: Standard Webhooks with public keys, which the receiver fetches from the sender. */

import { createPublicKey, verify as verifySignature } from "node:crypto";

import { isRecent } from "./compare.mjs";

/** The public keys of an endpoint, from `https://SENDER/endpoints/ENDPOINT_ID/jwks.json`. */
export async function fetchKeys(url) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`no keys: ${response.status}`);
  }
  const { keys } = await response.json();
  return keys.map((key) => createPublicKey({ key, format: "jwk" }));
}

export function verify(body, headers, keys) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures = "" } = headers;
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const matches = signatures.split(" ").some((signature) => {
    const [version, value] = signature.split(",");
    return version === "v1a" && keys.some((key) => verifySignature(null, signed, key, Buffer.from(value, "base64")));
  });
  if (!matches || !isRecent(timestamp)) {
    throw new Error("refused");
  }
  return JSON.parse(body);
}
