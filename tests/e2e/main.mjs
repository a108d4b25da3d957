/**
 * Sends real payloads through a running server and checks what arrives: byte for byte, exactly once, nothing missing,
 * nothing extra, and signed so that the official `standardwebhooks` library accepts it.
 *
 *     TIDINGS_API_KEY=tdk_… node tests/e2e/main.mjs 127.0.0.1:7070 RECORDS_FOLDER
 *
 * What was received is written to the folder, for verify.py to check with the official Python library.
 */

import { setMaxListeners } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { connect, DeliveryState, FailureKind } from "../../clients/typescript/dist/client.js";
import { delicateCases, githubCases } from "./cases.mjs";
import { checkRequests } from "./check.mjs";
import { startReceiver } from "./receiver.mjs";

const DEADLINE_MS = 120_000;
const PUBLISHERS = 16;
/** Small, so that the list has many pages. */
const PAGE_SIZE = 50;
const ENDPOINTS = [
  { path: "/everything", eventTypes: [], wants: () => true },
  { path: "/checks", eventTypes: ["check_run.*"], wants: (type) => type.startsWith("check_run.") },
  { path: "/nothing", eventTypes: ["never.published"], wants: () => false },
];

async function createEndpoints(client, receiverUrl, options) {
  const endpoints = [];
  for (const wanted of ENDPOINTS) {
    const endpoint = { url: receiverUrl + wanted.path, eventTypes: wanted.eventTypes };
    const created = await client.createEndpoint({ endpoint }, options);
    endpoints.push({ ...wanted, id: created.endpoint.id, secret: created.secret });
  }
  return endpoints;
}

/** Publishes all cases, several at a time, and sets each one's `eventId`. */
async function publishAll(client, cases, endpoints, options) {
  const queue = cases[Symbol.iterator]();
  const publish = async () => {
    for (const one of queue) {
      const event = { type: one.type, contentType: one.contentType, payload: one.payload };
      const published = await client.publishEvent({ event }, options);
      const wanted = endpoints.filter((endpoint) => endpoint.wants(one.type)).length;
      if (published.deliveryCount !== wanted || published.duplicate) {
        throw new Error(`${one.type}: ${published.deliveryCount} deliveries instead of ${wanted}, or a duplicate`);
      }
      one.eventId = published.eventId;
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publish));
}

/** Reads the watch until `count` deliveries are DELIVERED, each at its first attempt. */
async function awaitDelivered(watch, count) {
  const delivered = new Set();
  while (delivered.size < count) {
    const { value, done } = await watch.next();
    if (done) {
      throw new Error(`the watch ended after ${delivered.size} of ${count} deliveries`);
    }
    if (value.message.case !== "delivery") {
      continue;
    }
    const { deliveryId, state, attemptNumber, failureKind, eventType } = value.message.value;
    if (failureKind !== FailureKind.UNSPECIFIED) {
      throw new Error(`an attempt at ${eventType} failed: ${FailureKind[failureKind]}`);
    }
    if (state === DeliveryState.DELIVERED) {
      if (delivered.has(deliveryId) || attemptNumber !== 1) {
        throw new Error(`${eventType} was delivered again, by attempt ${attemptNumber}`);
      }
      delivered.add(deliveryId);
    }
  }
}

/** Checks by the server's own list that there are `count` deliveries, each DELIVERED: nothing more will be sent. */
async function checkList(client, count, options) {
  const ids = new Set();
  let pageToken = "";
  do {
    const page = await client.listDeliveries({ pageSize: PAGE_SIZE, pageToken }, options);
    for (const delivery of page.deliveries) {
      if (delivery.state !== DeliveryState.DELIVERED || ids.has(delivery.id)) {
        throw new Error(`${delivery.eventType} is ${DeliveryState[delivery.state]}, or listed twice`);
      }
      ids.add(delivery.id);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  if (ids.size !== count) {
    throw new Error(`${ids.size} deliveries are listed instead of ${count}`);
  }
}

async function run(address, recordsFolder) {
  const options = { signal: AbortSignal.timeout(DEADLINE_MS) };
  // Each publisher's call listens, and the watch; Node takes more than ten for a leak.
  setMaxListeners(PUBLISHERS + 2, options.signal);
  const client = connect(address, process.env.TIDINGS_API_KEY);
  const receiver = await startReceiver();
  const endpoints = await createEndpoints(client, receiver.url, options);
  const cases = [...githubCases(), ...delicateCases()];
  const expected = endpoints.flatMap((endpoint) =>
    cases.filter(({ type }) => endpoint.wants(type)).map((one) => ({ endpoint, one })),
  );

  const watch = client.watchDeliveries({}, options)[Symbol.asyncIterator]();
  // The first message is a heartbeat: what is committed after it will be sent.
  await watch.next();
  await Promise.all([publishAll(client, cases, endpoints, options), awaitDelivered(watch, expected.length)]);
  await checkList(client, expected.length, options);
  receiver.close();

  const records = checkRequests(receiver.requests, expected);
  writeFileSync(join(recordsFolder, "records.json"), JSON.stringify(records));
  console.log(`${cases.length} events, ${records.length} requests: byte for byte, exactly once, verified`);
}

const [address, recordsFolder] = process.argv.slice(2);
if (address === undefined || recordsFolder === undefined) {
  console.error("usage: node tests/e2e/main.mjs SERVER_ADDRESS RECORDS_FOLDER");
  process.exit(2);
}
try {
  await run(address, recordsFolder);
  process.exit(0);
} catch (error) {
  console.error("official libraries: FAILED:", error);
  process.exit(1);
}
