/**
 * What ECMAScript makes of JSON texts: the corpus that stable JSON is held against.
 *
 *     node tests/e2e/stable.mjs           writes server/model/envelope/ecmascript.jsonl
 *     node tests/e2e/stable.mjs --check   fails if the file is not what this would write
 *
 * Each line is `[text, JSON.stringify(JSON.parse(text)), changed]`. `changed` is null, or says which value is another
 * after that: "number" where the number printed is not equal to the one in the text, "member" where an object repeats a
 * name; the first that ends, if there are several. It is found without looking at what ECMAScript parsed: numbers are
 * compared as exact fractions, names as they were chosen. Texts are made with a fixed seed, so the file is always the
 * same; after them come real webhooks of the npm package `@octokit/webhooks-examples`.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { githubCases } from "./cases.mjs";

const CORPUS = fileURLToPath(new URL("../../server/model/envelope/ecmascript.jsonl", import.meta.url));
const TEXTS = 1_400;
/** How much of the file real webhooks may take, the smallest first. */
const WEBHOOK_BYTES = 50_000;
const SEED = 0x7ed1_4e5;

/** Numbers from 0 to below 2^32, always the same (Mulberry32). */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const next = generator(SEED);
const below = (limit) => next() % limit;
const pick = (choices) => choices[below(choices.length)];
const chance = (percent) => below(100) < percent;
const times = (count, make) => Array.from({ length: count }, make);

/** A decimal fraction as `[numerator, denominator]`. */
function fraction(token) {
  const [, sign, whole, part = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token);
  const scale = Number(exponent) - part.length;
  const power = 10n ** BigInt(Math.abs(scale));
  const digits = BigInt(sign + whole + part);
  return scale < 0 ? [digits, power] : [digits * power, 1n];
}

/** Whether ECMAScript prints a number equal to the one that the token stands for. */
function isKept(token) {
  const value = Number(token);
  if (!Number.isFinite(value)) {
    return false;
  }
  const [a, b] = fraction(token);
  const [c, d] = fraction(String(value));
  return a * d === c * b;
}

/** A text under construction: writes pieces and remembers the first change. */
class Text {
  pieces = [];
  changed = null;

  space() {
    this.pieces.push(chance(70) ? "" : times(1 + below(3), () => pick([" ", "\n", "\t", "\r"])).join(""));
  }

  number(token) {
    this.pieces.push(token);
    if (!isKept(token)) {
      this.changed ??= "number";
    }
  }

  /** Writes the UTF-16 units of a string, each as it is or as one of its escapes. */
  string(units) {
    this.pieces.push('"');
    for (let i = 0; i < units.length; i += 1) {
      const pair = String.fromCharCode(units[i], units[i + 1] ?? 0);
      if (/^[\ud800-\udbff][\udc00-\udfff]/.test(pair) && chance(50)) {
        this.pieces.push(pair);
        i += 1;
      } else {
        this.pieces.push(written(units[i]));
      }
    }
    this.pieces.push('"');
  }

  value(depth) {
    this.space();
    const kind = below(depth > 0 ? 10 : 6);
    if (kind < 3) {
      this.number(someNumber());
    } else if (kind < 5) {
      this.string(someUnits());
    } else if (kind === 5) {
      this.pieces.push(pick(["true", "false", "null"]));
    } else if (kind < 8) {
      this.array(depth - 1);
    } else {
      this.object(depth - 1);
    }
    this.space();
  }

  array(depth) {
    this.pieces.push("[");
    times(below(5), (_, index) => {
      this.pieces.push(index > 0 ? "," : "");
      this.value(depth);
    });
    this.pieces.push("]");
  }

  object(depth) {
    this.pieces.push("{");
    const names = times(below(6), someName);
    names.forEach((units, index) => {
      this.pieces.push(index > 0 ? "," : "");
      this.space();
      this.string(units);
      this.space();
      this.pieces.push(":");
      this.value(depth);
    });
    this.pieces.push("}");
    if (new Set(names.map(String)).size < names.length) {
      this.changed ??= "member";
    }
  }
}

const SHORT = { 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 47: "\\/", 92: "\\\\" };

/** One UTF-16 unit as it may stand in a JSON string. */
function written(unit) {
  const isLiteral = unit >= 0x20 && unit !== 0x22 && unit !== 0x5c && (unit < 0xd800 || unit > 0xdfff);
  if (isLiteral && chance(60)) {
    return String.fromCharCode(unit);
  }
  if (SHORT[unit] && chance(50)) {
    return SHORT[unit];
  }
  const digits = unit.toString(16).padStart(4, "0");
  return `\\u${chance(50) ? digits.toUpperCase() : digits}`;
}

const ODD_TEXTS = ['"', "\\", "/", "\x7f", "\x80", "\u2028", "\u2029", "\ufeff", "\uffff", "\ud7ff", "\ue000"];
/** Around the greatest array index, and where signed integers end. */
const GREAT_INDICES = [4294967293, 4294967294, 4294967295, 4294967296, 2147483647, 2147483648];
const NEARLY_INDICES = ["00", "01", "-0", "-1", "1.0", "1e1", " 1", "9007199254740991", "9007199254740992", "1_0", "٣"];
const EDGES = ["5e-324", "2.2250738585072014e-308", "1.7976931348623157e308", "1e21", "1e-7", "0.000001", "1e23"];
const BEYOND = ["1e400", "-1e999", "1e-400", "9007199254740993", "1.7976931348623159e308", "3e-324"];

const unitsOf = (text) => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));

function someUnits() {
  const piece = () => {
    switch (below(6)) {
      case 0:
        return [below(0x20)];
      case 1:
        return unitsOf(pick(ODD_TEXTS));
      case 2:
        return unitsOf(String.fromCodePoint(0x10000 + below(0x100000)));
      case 3:
        return [0xd800 + below(0x800)];
      case 4:
        return [0x80 + below(0xd780)];
      default:
        return [0x20 + below(0x5f)];
    }
  };
  return times(below(6), piece).flat();
}

function someName() {
  switch (below(8)) {
    case 0:
    case 1:
      return unitsOf(String(below(30)));
    case 2:
      return unitsOf(String(pick([...GREAT_INDICES, next()])));
    case 3:
      return unitsOf(pick(NEARLY_INDICES));
    case 4:
      return unitsOf(pick(["__proto__", "constructor", "toJSON", "length", "", "toString"]));
    default:
      return someUnits();
  }
}

/** Any finite floating point number, all exponents alike. */
function someFloat() {
  const view = new DataView(new ArrayBuffer(8));
  do {
    view.setUint32(0, next());
    view.setUint32(4, chance(30) ? 0 : next());
  } while (!Number.isFinite(view.getFloat64(0)));
  return view.getFloat64(0);
}

/** A number of 18 digits, the last a 5, that is mostly read of two fractions of 17 digits, just as far on either side. */
function someHalfway() {
  const halvings = 14 + below(6);
  const least = 1e17 / 5 ** halvings;
  const most = 1e18 / 5 ** halvings;
  return (Math.ceil(least + below(most - least)) | 1) / 2 ** halvings;
}

/** A number that is kept, written in a way that is not ECMAScript's. */
function rewritten(value) {
  const [mantissa, exponent] = value.toExponential().split("e");
  const zeros = "0".repeat(below(4));
  const point = mantissa.includes(".") ? "" : ".0";
  const sign = Number(exponent) < 0 ? "-" : pick(["", "+"]);
  return `${mantissa}${point}${zeros}${pick(["e", "E"])}${sign}${"0".repeat(below(3))}${Math.abs(exponent)}`;
}

const someDigits = (count) => times(count, () => below(10)).join("");

function someNumber() {
  switch (below(20)) {
    case 0:
      return pick(["-0", "-0.0", "0e5", "0E-999", "1.0", "1e2", "10e-1", "1E+2", "100", "0.10"]);
    case 1:
      return pick(EDGES);
    case 2:
      return chance(30) ? pick(BEYOND) : "7";
    case 3:
      return chance(30) ? `${1 + below(9)}${someDigits(15 + below(8))}` : `${1 + below(9)}${someDigits(12)}000000`;
    case 4:
      return chance(30) ? someFloat().toPrecision(17 + below(4)) : someFloat().toPrecision(1 + below(6));
    case 5:
    case 6:
    case 7:
    case 8:
      return rewritten(someFloat());
    case 9:
      return `0.${"0".repeat(below(12))}${1 + below(9)}${someDigits(below(6))}`;
    case 10:
      return `${1 + below(9)}${someDigits(below(5))}${"0".repeat(below(22))}`;
    case 11:
      return String(pick([1, -1]) * (2 ** 53 - below(3)));
    case 12:
      return String(2 ** below(70));
    case 13:
      return rewritten(10 ** (below(40) - 20));
    case 14:
      return chance(20) ? someHalfway().toPrecision(17) : String(someHalfway());
    default:
      return String(pick([below(100), -below(1_000), below(1_000) / 100, someFloat()]));
  }
}

/** The lines of the file, each without its end. */
function* lines() {
  const line = (text, changed) => JSON.stringify([text, JSON.stringify(JSON.parse(text)), changed]);
  for (let made = 0; made < TEXTS; made += 1) {
    const text = new Text();
    text.value(made % 4);
    yield line(text.pieces.join(""), text.changed);
  }
  const webhooks = githubCases().map((webhook) => webhook.payload.toString());
  webhooks.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  let room = WEBHOOK_BYTES;
  for (const text of new Set(webhooks)) {
    const webhook = line(text, null);
    room -= Buffer.byteLength(webhook);
    if (room < 0) {
      return;
    }
    yield webhook;
  }
}

const corpus = [...lines()].map((line) => `${line}\n`).join("");
if (process.argv[2] !== "--check") {
  writeFileSync(CORPUS, corpus);
} else if (readFileSync(CORPUS, "utf8") !== corpus) {
  console.error("server/model/envelope/ecmascript.jsonl is not what `node tests/e2e/stable.mjs` writes");
  process.exitCode = 1;
}
