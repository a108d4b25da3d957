/**
 * What the rounds share: a client, a receiver, and a watch that knows what became of every delivery.
 */

import { setMaxListeners } from "node:events";

import { startReceiver } from "../receiver.mjs";
import { connect, DeliveryState } from "./client.mjs";

const PUBLISHERS = 16;
const FINAL = new Set([DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.CANCELLED]);

export class Session {
  /** What the receiver writes down with each request, besides the request. */
  phase = 0;
  /** How many facts were found to hold. */
  passed = 0;
  /** By endpoint: how its deliveries ended since they were last taken, by the delivery's id. */
  #ends = new Map();
  /** All deliveries that have ended. */
  #ended = new Set();
  #waiting = [];
  #problem;

  /** Opens a session with the server at `address`; all of its calls end after `deadlineMs`. */
  static async open(address, deadlineMs) {
    const session = new Session();
    session.address = address;
    session.options = { signal: AbortSignal.timeout(deadlineMs) };
    // Every call listens; Node takes more than ten for a leak.
    setMaxListeners(100, session.options.signal);
    session.client = connect(address, process.env.TIDINGS_API_KEY);
    session.receiver = await startReceiver(() => ({ phase: session.phase }));
    const watch = session.client.watchDeliveries({}, session.options)[Symbol.asyncIterator]();
    // The first message is a heartbeat: what is committed after it will be sent.
    await watch.next();
    session.#follow(watch);
    return session;
  }

  /** Tells that a fact was found to hold. */
  pass(text) {
    this.passed += 1;
    console.log(`ok ${text}`);
  }

  /** Creates an endpoint at a path of the receiver's: `{ id, path, secrets }`, the secrets by their schemes. */
  async createEndpoint({ path, style, headers = [], secret, eventTypes = [] }) {
    const endpoint = { url: this.receiver.url + path, style, headers, eventTypes };
    const request = secret === undefined ? { endpoint } : { endpoint, secret };
    const created = await this.client.createEndpoint(request, this.options);
    return { id: created.endpoint.id, path, secrets: secretsOf(created.issuedSecrets) };
  }

  async deleteEndpoint(endpoint) {
    await this.client.deleteEndpoint({ endpointId: endpoint.id }, this.options);
  }

  /** Publishes an event that goes to `deliveryCount` endpoints; returns it with its `id` and its `millis`. */
  async publish(event, deliveryCount) {
    const { type, contentType, payload, time } = event;
    const eventTime = time && timestamp(time);
    const request = { event: { type, contentType, payload, eventTime } };
    const published = await this.client.publishEvent(request, this.options);
    if (published.deliveryCount !== deliveryCount || published.duplicate) {
      throw new Error(`${type}: ${published.deliveryCount} deliveries instead of ${deliveryCount}, or a duplicate`);
    }
    const stored = await this.event(published.eventId);
    const happened = time?.millis ?? stored.createMillis;
    if (stored.millis !== happened || !stored.payload.equals(payload)) {
      throw new Error(`${type}: happened at ${stored.millis} instead of ${happened}, or is stored with another payload`);
    }
    return { ...event, ...stored };
  }

  /** Publishes events, several at a time. */
  async publishAll(events, deliveryCount) {
    const published = [];
    const queue = events[Symbol.iterator]();
    const publisher = async () => {
      for (const event of queue) {
        published.push(await this.publish(event, deliveryCount));
      }
    };
    await Promise.all(Array.from({ length: PUBLISHERS }, publisher));
    return published;
  }

  /** An event as the server has it. */
  async event(eventId) {
    const { event } = await this.client.getEvent({ eventId }, this.options);
    const { id, type, contentType, eventTime, createTime } = event;
    const [millis, createMillis] = [millisOf(eventTime), millisOf(createTime)];
    return { id, type, contentType, payload: Buffer.from(event.payload), millis, createMillis };
  }

  /**
   * Waits until `count` deliveries of an endpoint have ended since the last call: by the delivery's id, the transition
   * that ended each.
   */
  async takeEnded(endpoint, count) {
    while (this.#problem === undefined && this.#endsAt(endpoint.id).size < count) {
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
    if (this.#problem !== undefined) {
      throw this.#problem;
    }
    const ends = this.#endsAt(endpoint.id);
    this.#ends.delete(endpoint.id);
    if (ends.size > count) {
      throw new Error(`${endpoint.path}: ${ends.size} deliveries ended instead of ${count}`);
    }
    return ends;
  }

  /** The requests that have come since the last call. */
  takeRequests() {
    return this.receiver.requests.splice(0);
  }

  /** Throws if a request has come that nobody asked for. */
  close() {
    this.receiver.close();
    const left = this.receiver.requests;
    if (left.length > 0) {
      throw new Error(`${left.length} requests too many, the first at ${left[0].path}`);
    }
  }

  #endsAt(endpointId) {
    if (!this.#ends.has(endpointId)) {
      this.#ends.set(endpointId, new Map());
    }
    return this.#ends.get(endpointId);
  }

  /** Reads the watch for as long as it lasts. */
  async #follow(watch) {
    try {
      for (let next = await watch.next(); !next.done; next = await watch.next()) {
        const { message } = next.value;
        if (message.case === "delivery") {
          this.#note(message.value);
        }
      }
      throw new Error("the watch ended");
    } catch (error) {
      this.#problem = error;
      this.#wake();
    }
  }

  /** The receiver accepts everything, so whatever needs a second attempt, or ends twice, is the server's doing. */
  #note(transition) {
    const { deliveryId, endpointId, eventType, state, attemptNumber } = transition;
    if (attemptNumber > 1) {
      throw new Error(`${eventType} was sent ${attemptNumber} times`);
    }
    if (!FINAL.has(state)) {
      return;
    }
    if (this.#ended.has(deliveryId)) {
      throw new Error(`${eventType} ended twice`);
    }
    this.#ended.add(deliveryId);
    this.#endsAt(endpointId).set(deliveryId, transition);
    this.#wake();
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) {
      resolve();
    }
  }
}

/** What was issued, by the names of the schemes: a secret, or the public key where that is all receivers need. */
export function secretsOf(issued) {
  return new Map(issued.map(({ scheme, secret, publicKey }) => [scheme, secret || publicKey]));
}

/** The header's one value. */
export function header(request, name) {
  const values = request.headers[name] ?? [];
  if (values.length !== 1) {
    throw new Error(`${request.path}: ${values.length} headers ${name}`);
  }
  return values[0];
}

/** The headers as Node gives them to a receiver. */
export function plainHeaders(request) {
  return Object.fromEntries(Object.entries(request.headers).map(([name, values]) => [name, values.join(", ")]));
}

function timestamp({ millis, nanos }) {
  const seconds = Math.floor(millis / 1000);
  return { seconds: BigInt(seconds), nanos: (millis - seconds * 1000) * 1_000_000 + nanos };
}

function millisOf({ seconds, nanos }) {
  return Number(seconds) * 1000 + Math.floor(nanos / 1_000_000);
}
