/** That what arrived at an endpoint is what its style says, to the byte. */

import { createHash } from "node:crypto";

import { BodyNote } from "./client.mjs";
import { OWN_HEADERS } from "./endpoints.mjs";
import { header, plainHeaders } from "./session.mjs";
import { STYLE_HEADERS } from "./table.mjs";
import { checkRefused, checkVerified } from "./verified.mjs";

/**
 * Throws unless `requests` are exactly what `events` have to become at `endpoint`, each once, in any order. Not every
 * style names the event, so that requests are told apart by what they say.
 */
export async function checkArrived(endpoint, events, requests) {
  const missing = new Map();
  for (const event of events) {
    const key = keyOf(event.type, endpoint.body(event));
    missing.set(key, [...(missing.get(key) ?? []), event]);
  }
  for (const request of requests) {
    const type = header(request, "tidings-event-type");
    const candidates = missing.get(keyOf(type, request.body)) ?? [];
    // Events of one body differ in their ids at most, which some styles have in a header.
    const at = candidates.findIndex((event) => hasHeaders(request, endpoint.headers(event)));
    if (at < 0) {
      throw new Error(`${type} at ${endpoint.name}: not what was expected, or twice: ${request.body.subarray(0, 400)}`);
    }
    const [event] = candidates.splice(at, 1);
    await checkRequest(endpoint, event, request).catch((error) => {
      throw new Error(`${type} at ${endpoint.name} ${error.message}`, { cause: error });
    });
  }
  const left = [...missing.values()].flat();
  if (left.length > 0) {
    throw new Error(`${endpoint.name}: ${left.length} requests are missing, among them ${left[0].type}`);
  }
  const attempts = new Set(requests.map((request) => header(request, "tidings-attempt-id")));
  if (attempts.size !== requests.length || ![...attempts].every((id) => id.startsWith("att_"))) {
    throw new Error(`${endpoint.name}: attempts do not have ids of their own`);
  }
}

/** Throws unless method, headers and signature of a request are its style's. */
async function checkRequest(endpoint, event, request) {
  const expected = {
    "content-type": endpoint.contentType(event),
    "content-length": String(request.body.length),
    ...OWN_HEADERS,
  };
  if (request.method !== "POST" || !hasHeaders(request, expected)) {
    throw new Error(`has other headers: ${JSON.stringify(request.headers)}`);
  }
  checkStyleHeaders(request, endpoint.signs);
  if (endpoint.rereads && event.note !== BodyNote.UNSPECIFIED) {
    // What such a receiver writes again is not what was sent, though what was sent is signed.
    await checkRefused("its form", () => endpoint.verify(request.body, plainHeaders(request), endpoint.key));
    await checkVerified(endpoint.verifyAsSent, request, endpoint);
    return;
  }
  const isJson = endpoint.wraps === true || event.contentType.includes("json");
  for (const verify of [endpoint.verify, ...endpoint.also]) {
    await checkVerified(verify, request, endpoint, isJson);
  }
}

/** Throws unless the request bears these headers of styles and no others. */
export function checkStyleHeaders(request, expected) {
  const borne = Object.keys(request.headers).filter((name) => STYLE_HEADERS.has(name));
  if (borne.sort().join() !== [...expected].sort().join()) {
    throw new Error(`bears ${borne.join(", ")}`);
  }
}

function hasHeaders(request, expected) {
  return Object.entries(expected).every(([name, value]) => header(request, name) === value);
}

function keyOf(type, body) {
  return `${type} ${createHash("sha256").update(body).digest("hex")}`;
}
