/** One endpoint for each style, at a path of its own, with headers of its own. */

import { generateKeyPairSync } from "node:crypto";

import { STYLES } from "./table.mjs";
import { fetchKeys } from "../styles/standard-ed25519.mjs";

/** What every request bears besides. */
export const OWN_HEADERS = { authorization: "Bearer t0ken, and more", "x-tenant": "acme" };

/**
 * Creates them: rows of the table with `id`, `path`, `scheme`, `key`, what its receiver verifies with, and `otherKey`,
 * what must not do.
 */
export async function createStyled(session) {
  const endpoints = [];
  for (const [index, row] of STYLES.entries()) {
    const headers = Object.entries(OWN_HEADERS).map(([name, value]) => ({ name, value }));
    const path = `/styles/${index}`;
    const created = await session.createEndpoint({ path, style: row.style, secret: row.secret, headers });
    const [[scheme, shown]] = created.secrets;
    if (row.secret !== undefined && row.secret !== shown) {
      throw new Error(`${row.name}: another secret was issued than was imported`);
    }
    endpoints.push({ ...row, id: created.id, path, scheme, ...(await keysOf(session, created.id, shown)) });
  }
  return endpoints;
}

async function keysOf(session, endpointId, shown) {
  if (shown.startsWith("whpk_")) {
    const keys = await fetchKeys(keysUrl(session, endpointId));
    const raw = keys.map((key) => Buffer.from(key.export({ format: "jwk" }).x, "base64url").toString("base64"));
    if (raw.length !== 1 || `whpk_${raw[0]}` !== shown) {
      throw new Error("the key set has not the one key that was issued");
    }
    return { key: keys, otherKey: [generateKeyPairSync("ed25519").publicKey] };
  }
  return { key: shown, otherKey: otherSecret(shown) };
}

/** Where the server shows an endpoint's public keys. */
export function keysUrl(session, endpointId) {
  return `http://${session.address}/endpoints/${endpointId}/jwks.json`;
}

/** A secret of the same form with another key: another first character, after the prefix if there is one. */
export function otherSecret(secret) {
  const at = secret.startsWith("whsec_") ? "whsec_".length : 0;
  return secret.slice(0, at) + (secret[at] === "A" ? "B" : "A") + secret.slice(at + 1);
}
