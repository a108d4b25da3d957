import assert from "node:assert/strict";
import { test } from "node:test";

import { elements, member, members } from "./spans.mjs";

const texts = (spans) => [...spans].map(String);

test("elements_are_cut_out_byte_for_byte", () => {
  const text = Buffer.from(' [ {"a" : [1, 2 ]} ,"x,]\\"\\\\", -1.0e+2,true\n, [ ] ,"é", null ] ');
  assert.deepEqual(texts(elements(text)), ['{"a" : [1, 2 ]}', '"x,]\\"\\\\"', "-1.0e+2", "true", "[ ]", '"é"', "null"]);
  assert.deepEqual(texts(elements(Buffer.from("[ ]"))), []);
  assert.deepEqual(texts(elements(Buffer.from("[1]"))), ["1"]);
});

test("members_are_cut_out_byte_for_byte", () => {
  const text = Buffer.from('{ "a}" : {"b":"}"} ,"\\u00e9":1.00,"z":false}');
  assert.deepEqual(
    [...members(text)].map(([name, value]) => [name, String(value)]),
    [["a}", '{"b":"}"}'], ["é", "1.00"], ["z", "false"]],
  );
  assert.equal(String(member(text, "z")), "false");
  assert.equal(member(text, "b"), undefined);
  assert.deepEqual([...members(Buffer.from("{}"))], []);
});

test("what_is_no_json_is_refused", () => {
  for (const text of ["", "1", "[1", "[1 2]", '["a]', "[{]"]) {
    assert.throws(() => texts(elements(Buffer.from(text))), Error, text);
  }
  for (const text of ["[]", '{"a"}', '{"a":1', '{"a":{"b":1}']) {
    assert.throws(() => [...members(Buffer.from(text))], Error, text);
  }
});
