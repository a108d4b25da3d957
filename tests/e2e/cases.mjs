/**
 * The events that are sent: GitHub's own examples of its webhooks, and payloads that are easily damaged on the way.
 *
 * A case is `{ type, contentType, payload }`: the payload is the bytes that have to arrive.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { elements, member } from "./spans.mjs";

const JSON_TYPE = "application/json";
/** The server's default limit for a payload. */
const PAYLOAD_BYTES_MAX = 256 * 1024;
/** What the package holds; fewer means that they were not all found. */
const EXAMPLES_EXPECTED = 329;

/** Each example of the npm package `@octokit/webhooks-examples`, cut out of its file as it stands there. */
export function githubCases() {
  const path = createRequire(import.meta.url).resolve("@octokit/webhooks-examples/api.github.com/index.json");
  const cases = [];
  for (const event of elements(readFileSync(path))) {
    const name = JSON.parse(member(event, "name").toString());
    for (const payload of elements(member(event, "examples"))) {
      const action = member(payload, "action");
      const type = action === undefined ? name : `${name}.${JSON.parse(action.toString())}`;
      cases.push({ type, contentType: JSON_TYPE, payload });
    }
  }
  if (cases.length !== EXAMPLES_EXPECTED) {
    throw new Error(`${cases.length} examples found instead of ${EXAMPLES_EXPECTED}`);
  }
  return cases;
}

/** JSON that changes when it is parsed and written again, and bytes that are no JSON. */
export function delicateCases() {
  const json = [
    '{"text":"Žluťoučký kůň 🐎 漢字 \u2028\u2029 e\u0301 \uFEFF \u007f"}',
    String.raw`{"text":"\u00e9\uD83D\ude00\/\b\f\n\r\t\"\\","\u0061":1}`,
    String.raw`{"nul":"a\u0000b","\u0000":[]}`,
    String.raw`["\ud800","\udfff\ud800"]`,
    "[1e400,-1e400,1E+2,1e-400,9007199254740993,-0,1.0,1.10,123456789012345678901234567890,0.1e1]",
    ' {\r\n\t"b" : 1 , "a":2,\n"b": 3,"":{ }, "10":1,"9":[ ] }\n ',
    "null",
    "0",
    '""',
    `${"[".repeat(100)}${"]".repeat(100)}`,
    `"${"x".repeat(PAYLOAD_BYTES_MAX - 2)}"`,
    `"${"€".repeat((PAYLOAD_BYTES_MAX - 4) / 3)}xy"`,
  ];
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  return [
    ...json.map((text, index) => {
      return { type: `delicate.json_${index}`, contentType: JSON_TYPE, payload: Buffer.from(text) };
    }),
    { type: "delicate.charset", contentType: "application/json; charset=utf-8", payload: Buffer.from('{"ž":1}') },
    { type: "delicate.suffix", contentType: "application/vnd.example+json", payload: Buffer.from("[ ]") },
    { type: "delicate.text", contentType: "text/plain; charset=utf-8", payload: Buffer.from("no { JSON: ž\r\n\0") },
    { type: "delicate.bytes", contentType: "application/octet-stream", payload: everyByte },
    { type: "delicate.byte", contentType: "application/octet-stream", payload: Buffer.from([0xff]) },
    {
      type: "delicate.many_bytes",
      contentType: "application/octet-stream",
      payload: Buffer.alloc(PAYLOAD_BYTES_MAX, everyByte),
    },
  ];
}
