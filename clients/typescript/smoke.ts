/**
 * Proves that the TypeScript client works against a running server: creates an endpoint, watches, publishes an event,
 * waits until the watch tells that the event was delivered, and reads the event back.
 *
 *     TIDINGS_API_KEY=tdk_… node dist/smoke.js 127.0.0.1:7070 http://127.0.0.1:8080/
 *
 * Exits 0 if all of that happened within 30 seconds, 1 otherwise.
 */

import {
  connect,
  DeliveryState,
  FailureKind,
  RouteReason,
  type WatchDeliveriesResponse,
  type WebhookClient,
} from "./client.js";

const DEADLINE_MS = 30_000;
const EVENT_TYPE = "smoke.typescript";
// Spaces, key order and a number beyond doubles are the payload's own: they have to come back unchanged.
const PAYLOAD = new TextEncoder().encode('{ "from": "typescript",  "number": 9007199254740993 }');

async function run(address: string, receiverUrl: string, signal: AbortSignal): Promise<void> {
  const client = connect(address, process.env["TIDINGS_API_KEY"] ?? "");
  const created = await client.createEndpoint(
    { endpoint: { url: receiverUrl, eventTypes: [EVENT_TYPE] } },
    { signal },
  );
  const endpointId = created.endpoint?.id ?? "";

  const stream = client.watchDeliveries({ filter: { endpointIds: [endpointId] } }, { signal });
  const watch = stream[Symbol.asyncIterator]();
  // The first message is a heartbeat: what is committed after it will be sent.
  const first = await next(watch);
  if (first.message.case !== "heartbeat" || first.resumeToken === "") {
    throw new Error(`the watch's first message is not a heartbeat with a token: ${first.message.case}`);
  }

  const published = await client.publishEvent({ event: { type: EVENT_TYPE, payload: PAYLOAD } }, { signal });
  const deliveryId = await awaitDelivered(watch, published.eventId);
  await checkEvent(client, { eventId: published.eventId, endpointId, deliveryId }, signal);
}

/** The stream's next message; an end of the stream is an error here. */
async function next(watch: AsyncIterator<WatchDeliveriesResponse>): Promise<WatchDeliveriesResponse> {
  const result = await watch.next();
  if (result.done) {
    throw new Error("the watch ended");
  }
  return result.value;
}

/** Reads the stream until the event's delivery has ended, and returns the delivery's id. */
async function awaitDelivered(watch: AsyncIterator<WatchDeliveriesResponse>, eventId: string): Promise<string> {
  for (;;) {
    const { message } = await next(watch);
    if (message.case !== "delivery" || message.value.eventId !== eventId) {
      continue;
    }
    const { state, failureKind, deliveryId } = message.value;
    if (state === DeliveryState.DELIVERED) {
      return deliveryId;
    }
    if (state === DeliveryState.DEAD || state === DeliveryState.CANCELLED) {
      throw new Error(`the delivery ended ${DeliveryState[state]} (${FailureKind[failureKind]})`);
    }
  }
}

async function checkEvent(
  client: WebhookClient,
  ids: { eventId: string; endpointId: string; deliveryId: string },
  signal: AbortSignal,
): Promise<void> {
  const got = await client.getEvent({ eventId: ids.eventId }, { signal });
  const payload = Buffer.from(got.event?.payload ?? []);
  if (!payload.equals(PAYLOAD)) {
    throw new Error(`the payload came back changed: ${payload.toString()}`);
  }
  const route = got.routes.find((candidate) => candidate.endpointId === ids.endpointId);
  if (route?.reason !== RouteReason.MATCHED || route.deliveryId !== ids.deliveryId) {
    throw new Error(`unexpected route to ${ids.endpointId}: ${route && RouteReason[route.reason]}`);
  }
}

const [address, receiverUrl] = process.argv.slice(2);
if (address === undefined || receiverUrl === undefined) {
  console.error("usage: node dist/smoke.js SERVER_ADDRESS RECEIVER_URL");
  process.exit(2);
}
try {
  await run(address, receiverUrl, AbortSignal.timeout(DEADLINE_MS));
  console.log("typescript smoke: published, watched, delivered, read back");
  process.exit(0);
} catch (error) {
  console.error(`typescript smoke: FAILED: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
