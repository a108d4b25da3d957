/**
 * Compares the requests that arrived with those expected, and verifies each with the official npm library.
 */

import { createHash, createHmac } from "node:crypto";

import { Webhook } from "standardwebhooks";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Throws unless `requests` are exactly those expected, in any order. `expected` are pairs of an endpoint and a case.
 * Returns a record of each request for verify.py.
 */
export function checkRequests(requests, expected) {
  const missing = new Map(expected.map((pair) => [`${pair.endpoint.path} ${pair.one.eventId}`, pair]));
  if (missing.size !== expected.length) {
    throw new Error("two events have one id");
  }
  const records = requests.map((request) => {
    const key = `${request.path} ${header(request, "webhook-id")}`;
    const pair = missing.get(key);
    if (pair === undefined) {
      throw new Error(`a request that was not expected, or came twice: ${key}`);
    }
    missing.delete(key);
    checkRequest(request, pair);
    return {
      secret: pair.endpoint.secret,
      headers: signedHeaders(request),
      body: request.body.toString("base64"),
      sha256: sha256(pair.one.payload),
    };
  });
  if (missing.size > 0) {
    throw new Error(`${missing.size} requests are missing, among them ${[...missing.keys()][0]}`);
  }
  return records;
}

function checkRequest(request, { endpoint, one }) {
  if (request.method !== "POST") {
    throw new Error(`${one.type}: came as ${request.method}`);
  }
  if (sha256(request.body) !== sha256(one.payload)) {
    throw new Error(`${one.type}: ${one.payload.length} bytes were sent, ${request.body.length} others arrived`);
  }
  for (const [name, value] of [
    ["content-type", one.contentType],
    ["content-length", String(one.payload.length)],
    ["tidings-event-type", one.type],
  ]) {
    if (header(request, name) !== value) {
      throw new Error(`${one.type}: ${name} is ${header(request, name)} instead of ${value}`);
    }
  }
  if (!header(request, "tidings-attempt-id").startsWith("att_")) {
    throw new Error(`${one.type}: tidings-attempt-id is ${header(request, "tidings-attempt-id")}`);
  }
  verify(endpoint.secret, request, one.type);
}

/** Verifies a request, and that the same request with one byte more is refused. */
function verify(secret, request, type) {
  const headers = signedHeaders(request);
  if (!isUtf8(request.body)) {
    // The library turns the body into text first, and cannot verify other bytes: the scheme itself then, on the bytes.
    if (!headers["webhook-signature"].split(" ").includes(signature(secret, headers, request.body))) {
      throw new Error(`${type}: the signature does not match`);
    }
    return;
  }
  const webhook = new Webhook(secret);
  webhook.verify(request.body, headers, { jsonParse: false });
  let refused = false;
  try {
    webhook.verify(Buffer.concat([request.body, Buffer.from(" ")]), headers, { jsonParse: false });
  } catch {
    refused = true;
  }
  if (!refused) {
    throw new Error(`${type}: the library accepts a changed body`);
  }
}

function signature(secret, headers, body) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signed = [`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`, body];
  const mac = signed.reduce((hmac, part) => hmac.update(part), createHmac("sha256", key));
  return `v1,${mac.digest("base64")}`;
}

function signedHeaders(request) {
  const names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
  return Object.fromEntries(names.map((name) => [name, header(request, name)]));
}

/** The header's one value. */
function header(request, name) {
  const values = request.headers[name] ?? [];
  if (values.length !== 1) {
    throw new Error(`${request.path}: ${values.length} headers ${name}`);
  }
  return values[0];
}

function isUtf8(bytes) {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
