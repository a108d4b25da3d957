/**
 * Finds where values stand in a JSON text, so that they can be cut out as the bytes they are.
 *
 * Nothing is parsed into values and written again: that would change spaces, escapes and numbers. The text is taken to
 * be valid JSON in UTF-8, in which no byte of a multi-byte character looks like one of JSON's own.
 */

const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);
const [QUOTE, BACKSLASH, COMMA, COLON] = Buffer.from('"\\,:');
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = Buffer.from("{}[]");

/** The index of the first byte at or after `at` that is no white space. */
function skipSpace(text, at) {
  while (SPACE.has(text[at])) {
    at += 1;
  }
  return at;
}

/** The index after the string that begins at `at`. */
function skipString(text, at) {
  for (let i = at + 1; i < text.length; i += 1) {
    if (text[i] === BACKSLASH) {
      i += 1;
    } else if (text[i] === QUOTE) {
      return i + 1;
    }
  }
  throw new Error(`the string at byte ${at} does not end`);
}

/** The index after the value that begins at `at`. */
function skipValue(text, at) {
  if (text[at] === QUOTE) {
    return skipString(text, at);
  }
  let depth = 0;
  for (let i = at; i < text.length; ) {
    const byte = text[i];
    if (byte === QUOTE) {
      i = skipString(text, i);
      continue;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth += 1;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth -= 1;
      if (depth === 0) {
        return i + 1;
      }
    }
    // A number, true, false or null ends before what cannot belong to it.
    if (depth <= 0 && (depth < 0 || byte === COMMA || SPACE.has(byte))) {
      return i;
    }
    i += 1;
  }
  if (depth !== 0) {
    throw new Error(`the value at byte ${at} does not end`);
  }
  return text.length;
}

/** The elements of the array `text`, each as the bytes it consists of. */
export function* elements(text) {
  let at = skipSpace(text, 0);
  if (text[at] !== OPEN_ARRAY) {
    throw new Error("not an array");
  }
  at = skipSpace(text, at + 1);
  while (text[at] !== CLOSE_ARRAY) {
    const end = skipValue(text, at);
    yield text.subarray(at, end);
    at = skipSpace(text, end);
    if (text[at] === COMMA) {
      at = skipSpace(text, at + 1);
    } else if (text[at] !== CLOSE_ARRAY) {
      throw new Error(`neither a comma nor the array's end at byte ${at}`);
    }
  }
}

/** The members of the object `text`: pairs of a name, decoded, and the bytes of the value. */
export function* members(text) {
  let at = skipSpace(text, 0);
  if (text[at] !== OPEN_OBJECT) {
    throw new Error("not an object");
  }
  at = skipSpace(text, at + 1);
  while (text[at] !== CLOSE_OBJECT) {
    const nameEnd = skipString(text, at);
    const name = JSON.parse(text.subarray(at, nameEnd).toString());
    at = skipSpace(text, nameEnd);
    if (text[at] !== COLON) {
      throw new Error(`no colon at byte ${at}`);
    }
    at = skipSpace(text, at + 1);
    const end = skipValue(text, at);
    yield [name, text.subarray(at, end)];
    at = skipSpace(text, end);
    if (text[at] === COMMA) {
      at = skipSpace(text, at + 1);
    } else if (text[at] !== CLOSE_OBJECT) {
      throw new Error(`neither a comma nor the object's end at byte ${at}`);
    }
  }
}

/** The bytes of the object's member `name`, or undefined. */
export function member(text, name) {
  for (const [key, value] of members(text)) {
    if (key === name) {
      return value;
    }
  }
  return undefined;
}
