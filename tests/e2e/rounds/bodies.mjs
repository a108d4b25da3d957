/**
 * What a style's body has to be, to the byte, written down independently of the server: each function makes it of an
 * event `{ id, type, contentType, payload, millis }`.
 */

import { BodyNote } from "./client.mjs";

const quote = JSON.stringify;
const iso = (event) => quote(new Date(event.millis).toISOString());
const around = (before, payload, after) => Buffer.concat([Buffer.from(before), payload, Buffer.from(after)]);

/** The last segment of the event's type. */
export function operation(event) {
  return event.type.split(".").at(-1);
}

export function asPublished(event) {
  return event.payload;
}

export function para(event) {
  const before = `{"id":${quote(event.id)},"type":${quote(event.type)},"createdAt":${iso(event)},"data":`;
  return around(before, event.payload, "}");
}

export function parra(event) {
  return around(`{"id":${quote(event.id)},"type":${quote(event.type)},"payload":`, event.payload, "}");
}

export const ERUDIKA_APP = "app:myapp";

export function erudikaPara(event) {
  const items = Array.isArray(JSON.parse(event.payload)) ? event.payload : around("[", event.payload, "]");
  const before = `{"appid":${quote(ERUDIKA_APP)},"event":${quote(operation(event))},"items":`;
  return around(before, items, `,"timestamp":${event.millis}}`);
}

export function erudikaParaForm(event) {
  return Buffer.from(new URLSearchParams({ payload: erudikaPara(event).toString() }).toString());
}

export const PARTYLAYER_VERSION = "2026-03-01";

/** Stable JSON, unless that would change the payload's meaning. */
export function partylayer(event) {
  const before =
    `{"id":${quote(event.id)},"type":${quote(event.type)},"created_at":${iso(event)},` +
    `"api_version":${quote(PARTYLAYER_VERSION)},"data":`;
  const body = around(before, event.payload, "}");
  return event.note === BodyNote.UNSPECIFIED ? Buffer.from(JSON.stringify(JSON.parse(body))) : body;
}

export function acme(event) {
  const before =
    `{"event":${quote(event.type)},"operation":${quote(operation(event))},"source":"acme",` +
    `"time":${Math.floor(event.millis / 1000)},"body":`;
  return around(before, event.payload, "}");
}

export const CLOUD_SOURCE = "/tidings/e2e";

export function cloudEvent(event) {
  const before =
    `{"specversion":"1.0","id":${quote(event.id)},"source":${quote(CLOUD_SOURCE)},"type":${quote(event.type)},` +
    `"time":${iso(event)},"datacontenttype":${quote(event.contentType)},`;
  const isJson = /^application\/([^;]+\+)?json\b/.test(event.contentType);
  return isJson
    ? around(`${before}"data":`, event.payload, "}")
    : Buffer.from(`${before}"data_base64":${quote(event.payload.toString("base64"))}}`);
}
