/** Styles that are written down rather than named: a scheme like Svix's, a scheme and an envelope of one's own. */

import { EnvelopeVariable, KeyForm, SignatureAlgorithm, SignatureEncoding, SignatureVariable } from "./client.mjs";

const literal = (text) => ({ part: { case: "literal", value: text } });
const variable = (name) => ({ part: { case: "variable", value: SignatureVariable[name] } });
const member = (name, value) => ({ name, value: { case: "variable", value: EnvelopeVariable[value] } });

/** Standard Webhooks under the headers of Svix. */
export const svixScheme = {
  name: "svix",
  definition: {
    signed: [variable("ID"), literal("."), variable("TIMESTAMP"), literal("."), variable("BODY")],
    algorithm: SignatureAlgorithm.HMAC_SHA256,
    keyForm: KeyForm.BASE64,
    encoding: SignatureEncoding.BASE64,
    signaturePrefix: "v1,",
    signatureSeparator: " ",
    headers: [
      { name: "svix-id", value: [variable("ID")] },
      { name: "svix-timestamp", value: [variable("TIMESTAMP")] },
      { name: "svix-signature", value: [variable("SIGNATURE")] },
    ],
  },
};

/** One header with id, time and signature. */
export const acmeScheme = {
  name: "acme",
  definition: {
    signed: [variable("ID"), literal("/"), variable("TIMESTAMP"), literal("/"), variable("BODY")],
    algorithm: SignatureAlgorithm.HMAC_SHA256,
    keyForm: KeyForm.TEXT,
    encoding: SignatureEncoding.HEX,
    headers: [
      {
        name: "Acme-Signature",
        value: [
          literal("id="),
          variable("ID"),
          literal(";t="),
          variable("TIMESTAMP"),
          literal(";s="),
          variable("SIGNATURE"),
        ],
      },
    ],
  },
};

/** `{event,operation,source,time,body}`. */
export const acmeEnvelope = {
  envelope: {
    case: "json",
    value: {
      fields: [
        member("event", "TYPE"),
        member("operation", "OPERATION"),
        { name: "source", value: { case: "constant", value: "acme" } },
        member("time", "TIME_UNIX_SECONDS"),
        member("body", "PAYLOAD"),
      ],
    },
  },
};

/** CloudEvents 1.0 in one of its modes. */
export function cloudEvents(mode, source) {
  return { envelope: { case: "cloudEvents", value: { mode, source } } };
}
