/**
 * The events that every style is tried with: GitHub's examples as a person would print them, JSON that is easily
 * damaged, and payloads that are no JSON.
 *
 * An event is `{ type, contentType, payload, time, note }`: `time` in Unix milliseconds and nanoseconds below them, or
 * undefined to have the server set it; `note` is what PartyLayer's stable JSON says of it.
 */

import { delicateCases, githubCases } from "../cases.mjs";
import { BodyNote } from "./client.mjs";

const JSON_TYPE = "application/json";
const FIRST_MILLIS = Date.parse("2026-03-01T10:00:00.123Z");
/** Just below the next millisecond: styles round down. */
const NANOS = 999_999;

/** Those of the delicate cases that stable JSON would change. */
const NOTES = {
  "delicate.json_4": BodyNote.NUMBER_NOT_STABLE,
  "delicate.json_5": BodyNote.MEMBER_REPEATED,
};

/** JSON that envelopes and stable JSON might stumble over, besides `delicateCases`. */
const MORE = [
  ["issue.create", '{"id":"1","type":"issue","name":"Gordon Freeman"}'],
  ["issue.update", '[{"id":"1"},{"id":"2"}]'],
  ["more.numbers", "[1.0,-0,-0.0,1e2,1E+2,0.1e1,1.10,5e-324,0.1,123456789012345680000,1e21,1e-7]"],
  ["more.number_not_kept", '{"n":9007199254740993}', BodyNote.NUMBER_NOT_STABLE],
  ["more.number_too_large", "1e400", BodyNote.NUMBER_NOT_STABLE],
  ["more.member_repeated", '{"a":{"b":1,"b":1}}', BodyNote.MEMBER_REPEATED],
  ["more.member_repeated_by_escape", String.raw`{"a":1,"\u0061":1}`, BodyNote.MEMBER_REPEATED],
  ["more.proto", '{"__proto__":{"x":1},"constructor":2,"2":0,"1":0,"01":0}'],
  ["more.escapes", String.raw`{"a\/b":"\/\u0000\u001f\u007f\u2028","\u00e9":"\ud83d\ude00"}`],
  ["more.big_array", JSON.stringify(Array.from({ length: 20_000 }, (_, index) => index))],
  ["more.deep", `${'{"a":['.repeat(60)}${"]}".repeat(60)}`],
  ["more.string", '"Grüße"'],
  ["more.true", " true\n"],
  ["more.payload_field", '{"payload":"a=b&c=d+e%20f"}'],
];

/** What is JSON: it goes to every style. */
export function jsonEvents() {
  const printed = githubCases().map(({ type, contentType, payload }) => {
    return { type, contentType, payload: Buffer.from(JSON.stringify(JSON.parse(payload), null, 2)) };
  });
  const delicate = delicateCases().filter(({ contentType }) => contentType.includes("json"));
  const more = MORE.map(([type, text, note]) => ({ type, contentType: JSON_TYPE, payload: Buffer.from(text), note }));
  const unnoted = [...printed, ...delicate, ...more].map((event, index) => {
    const time = { millis: FIRST_MILLIS + index * 1_001, nanos: NANOS };
    return { ...event, time, note: event.note ?? NOTES[event.type] ?? BodyNote.UNSPECIFIED };
  });
  // Before 1970, and whenever the server says.
  unnoted[0].time = { millis: -1, nanos: NANOS };
  return unnoted.map((event, index) => (index % 50 === 1 ? { ...event, time: undefined } : event));
}

/** What is not JSON. */
export function otherEvents() {
  return [
    { type: "other.text", contentType: "text/plain; charset=utf-8", payload: Buffer.from("no { JSON: ž\0") },
    { type: "other.quoted", contentType: "text/plain", payload: Buffer.from('"JSON, but nobody says so"') },
    { type: "other.bytes", contentType: "application/octet-stream", payload: Buffer.from("\0\x01{\n\x7f") },
  ].map((event) => ({ ...event, note: BodyNote.UNSPECIFIED }));
}
