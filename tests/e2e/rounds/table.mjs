/**
 * The styles: what each endpoint is told, and what has to arrive at it.
 *
 * A row is `{ name, style, verify, also, secret, signs, body, contentType, headers, wraps, rereads }`: the style as
 * CreateEndpoint takes it, the receiver's own verifier and others that have to agree, the secret to import if one is,
 * the headers that the scheme brings, the body of an event and its media type, headers with their values, whether
 * payloads have to be JSON, and whether the receiver writes the body again before it verifies (`verifyAsSent` does
 * not).
 */

import { createHmac } from "node:crypto";

import * as bodies from "./bodies.mjs";
import { CloudEventsMode, StylePreset } from "./client.mjs";
import { acmeEnvelope, acmeScheme, cloudEvents, svixScheme } from "./custom.mjs";
import * as acme from "../styles/acme.mjs";
import * as erudikaPara from "../styles/erudika-para.mjs";
import * as erudikaParaForm from "../styles/erudika-para-form.mjs";
import * as github from "../styles/github.mjs";
import * as para from "../styles/para.mjs";
import * as paraTimestampBody from "../styles/para-timestamp-body.mjs";
import * as paraTimestampBodyDecoded from "../styles/para-timestamp-body-decoded.mjs";
import * as paragon from "../styles/paragon.mjs";
import * as parra from "../styles/parra.mjs";
import * as partylayer from "../styles/partylayer.mjs";
import * as shopify from "../styles/shopify.mjs";
import * as slack from "../styles/slack.mjs";
import * as standard from "../styles/standard.mjs";
import * as standardEd25519 from "../styles/standard-ed25519.mjs";
import * as stripe from "../styles/stripe.mjs";
import * as svix from "../styles/svix.mjs";

export const STANDARD_HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"];
export const PARTYLAYER_HEADERS = ["x-partylayer-signature", "x-partylayer-timestamp", "x-partylayer-event-id"];
export const ERUDIKA_HEADERS = ["x-webhook-signature", "x-para-event"];
const CLOUD_HEADERS = ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"];
const SVIX_HEADERS = ["svix-id", "svix-timestamp", "svix-signature"];

const PLAIN = { also: [], body: bodies.asPublished, contentType: (event) => event.contentType, headers: () => ({}) };
const WRAPPED = { ...PLAIN, contentType: () => "application/json", wraps: true };
const webhookId = (event) => ({ "webhook-id": event.id });
const paraEvent = (event) => ({ "x-para-event": bodies.operation(event) });

export const STYLES = [
  {
    ...PLAIN,
    name: "standard",
    style: { preset: StylePreset.STANDARD },
    verify: standard.verify,
    also: [svix.verify, para.verify],
    signs: STANDARD_HEADERS,
    headers: webhookId,
  },
  {
    ...PLAIN,
    name: "standard-ed25519",
    style: { preset: StylePreset.STANDARD_ED25519 },
    verify: standardEd25519.verify,
    signs: STANDARD_HEADERS,
    headers: webhookId,
  },
  {
    ...WRAPPED,
    name: "para",
    style: { preset: StylePreset.PARA },
    verify: para.verify,
    also: [standard.verify, svix.verify],
    secret: "whsec_cGFyYSByZWNlaXZlcnMgaG9sZCB0aGlzIGtleSE=",
    signs: STANDARD_HEADERS,
    headers: webhookId,
    body: bodies.para,
  },
  {
    ...WRAPPED,
    name: "para-timestamp-body",
    style: { preset: StylePreset.PARA_TIMESTAMP_BODY },
    verify: paraTimestampBody.verify,
    secret: "whsec_any text at all, it is not decoded",
    signs: STANDARD_HEADERS,
    headers: webhookId,
    body: bodies.para,
  },
  {
    ...WRAPPED,
    name: "para-timestamp-body-decoded",
    style: { preset: StylePreset.PARA_TIMESTAMP_BODY_DECODED },
    verify: paraTimestampBodyDecoded.verify,
    signs: STANDARD_HEADERS,
    headers: webhookId,
    body: bodies.para,
  },
  {
    ...WRAPPED,
    name: "parra",
    style: { preset: StylePreset.PARRA },
    verify: parra.verify,
    signs: ["parra-signature"],
    body: bodies.parra,
  },
  {
    ...WRAPPED,
    name: "erudika-para",
    style: { preset: StylePreset.ERUDIKA_PARA, appId: bodies.ERUDIKA_APP },
    verify: erudikaPara.verify,
    secret: "a secret with ěščř in it",
    signs: ERUDIKA_HEADERS,
    headers: paraEvent,
    body: bodies.erudikaPara,
  },
  {
    ...WRAPPED,
    name: "erudika-para-form",
    style: { preset: StylePreset.ERUDIKA_PARA_FORM, appId: bodies.ERUDIKA_APP },
    verify: erudikaParaForm.verify,
    signs: ERUDIKA_HEADERS,
    headers: paraEvent,
    contentType: () => "application/x-www-form-urlencoded",
    body: bodies.erudikaParaForm,
  },
  {
    ...WRAPPED,
    name: "partylayer",
    style: { preset: StylePreset.PARTYLAYER, apiVersion: bodies.PARTYLAYER_VERSION },
    verify: partylayer.verify,
    signs: PARTYLAYER_HEADERS,
    headers: (event) => ({ "x-partylayer-event-id": event.id }),
    body: bodies.partylayer,
    rereads: true,
    verifyAsSent: verifyPartylayerAsSent,
  },
  {
    ...PLAIN,
    name: "github",
    style: { preset: StylePreset.GITHUB },
    verify: github.verify,
    secret: "It's a Secret to Everybody",
    signs: ["x-hub-signature-256"],
  },
  {
    ...PLAIN,
    name: "stripe",
    style: { preset: StylePreset.STRIPE },
    verify: stripe.verify,
    secret: "whsec_stripe_reads_this_as_it_is",
    signs: ["stripe-signature"],
  },
  {
    ...PLAIN,
    name: "shopify",
    style: { preset: StylePreset.SHOPIFY },
    verify: shopify.verify,
    signs: ["x-shopify-hmac-sha256"],
  },
  {
    ...PLAIN,
    name: "slack",
    style: { preset: StylePreset.SLACK },
    verify: slack.verify,
    signs: ["x-slack-signature", "x-slack-request-timestamp"],
  },
  {
    ...PLAIN,
    name: "paragon",
    style: { preset: StylePreset.PARAGON },
    verify: paragon.verify,
    signs: ["x-paragon-signature"],
  },
  {
    ...PLAIN,
    name: "svix (a scheme of one's own)",
    style: { schemes: [svixScheme] },
    verify: svix.verify,
    signs: SVIX_HEADERS,
    headers: (event) => ({ "svix-id": event.id }),
  },
  {
    ...WRAPPED,
    name: "acme (scheme and envelope of one's own)",
    style: { schemes: [acmeScheme], envelope: acmeEnvelope },
    verify: acme.verify,
    signs: ["acme-signature"],
    body: bodies.acme,
  },
  {
    ...PLAIN,
    name: "CloudEvents, structured",
    style: { envelope: cloudEvents(CloudEventsMode.STRUCTURED, bodies.CLOUD_SOURCE) },
    verify: standard.verify,
    signs: STANDARD_HEADERS,
    contentType: () => "application/cloudevents+json; charset=utf-8",
    body: bodies.cloudEvent,
  },
  {
    ...PLAIN,
    name: "CloudEvents, binary",
    style: { envelope: cloudEvents(CloudEventsMode.BINARY, bodies.CLOUD_SOURCE) },
    verify: standard.verify,
    signs: [...STANDARD_HEADERS, ...CLOUD_HEADERS],
    headers: (event) => ({
      "ce-specversion": "1.0",
      "ce-id": event.id,
      "ce-source": bodies.CLOUD_SOURCE,
      "ce-type": event.type,
      "ce-time": new Date(event.millis).toISOString(),
    }),
  },
];

/** Every header that some style brings; a request may have those of its own style alone. */
export const STYLE_HEADERS = new Set(STYLES.flatMap((row) => row.signs));

function verifyPartylayerAsSent(body, headers, secret) {
  const signed = createHmac("sha256", secret).update(`${headers["x-partylayer-timestamp"]}.`).update(body);
  if (headers["x-partylayer-signature"] !== `sha256=${signed.digest("hex")}`) {
    throw new Error("refused");
  }
}
