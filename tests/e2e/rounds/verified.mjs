/** That a request is accepted by its receiver, and that it would not be otherwise. */

import { plainHeaders } from "./session.mjs";

/**
 * Throws unless a receiver with `key` accepts the request, and refuses it with another key or another body. Receivers
 * parse what they have verified, and may fall over then unless `isJson`.
 */
export async function checkVerified(verify, request, { key, otherKey, rereads = false }, isJson = true) {
  const headers = plainHeaders(request);
  try {
    await verify(request.body, headers, key);
  } catch (error) {
    if (isJson || !(error instanceof SyntaxError)) {
      throw error;
    }
  }
  await checkRefused("another key", () => verify(request.body, headers, otherKey));
  await checkRefused("another body", () => verify(changed(request.body, rereads), headers, key));
}

/** Throws unless the receiver refuses, and not because it fell over. */
export async function checkRefused(why, receive) {
  let error;
  try {
    await receive();
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined || error instanceof SyntaxError || error instanceof TypeError) {
    throw new Error(`is not refused for ${why}: ${error ?? "it is accepted"}`);
  }
}

/** The body with another byte. Where it has to be JSON still, that is in the id, which comes first. */
function changed(body, mustParse) {
  const other = Buffer.from(body);
  other[mustParse ? '{"id":"'.length : body.length >> 1] ^= 1;
  return other;
}
