/**
 * A steady flow of events to one endpoint while its configuration changes.
 *
 * Time is cut into phases: even while nothing changes, odd while a change has been called for and not been answered.
 * After n changes the phase is 2n, and the endpoint's configuration its n-th. An event that is published in phase p and
 * arrives in phase q was sent under one of the configurations from p/2, rounded down, to q/2, rounded up.
 */

import { BodyNote, DeliveryState } from "./client.mjs";

const PUBLISHERS = 4;
/** How many events are published before, between and after changes. */
const EVENTS_A_PHASE = 60;

export class Flow {
  #session;
  #endpoint;
  #type;
  #events = new Map();
  #stopped = false;
  #problem;
  #waiting = [];
  #publishers;

  constructor(session, endpoint, type) {
    this.#session = session;
    this.#endpoint = endpoint;
    this.#type = type;
    session.phase = 0;
    this.#publishers = Array.from({ length: PUBLISHERS }, () => this.#publish());
  }

  /** Lets some events flow, changes the configuration by `call` meanwhile, and returns what that answers. */
  async change(call) {
    await this.#pass();
    this.#session.phase += 1;
    const answer = await call();
    this.#session.phase += 1;
    return answer;
  }

  /**
   * Lets some events flow, stops, and checks each request with one function for each configuration, which throws unless
   * the request is entirely as that configuration has it. Returns how many events there were.
   */
  async finish(checks) {
    await this.#pass();
    this.#stopped = true;
    await Promise.all(this.#publishers);
    this.#throwProblem();
    const ends = await this.#session.takeEnded(this.#endpoint, this.#events.size);
    const late = [...ends.values()].filter(({ state }) => state !== DeliveryState.DELIVERED);
    const requests = this.#session.takeRequests();
    if (late.length > 0 || requests.length !== this.#events.size) {
      throw new Error(`${late.length} not delivered; ${requests.length} requests for ${this.#events.size} events`);
    }
    const certain = checks.map(() => 0);
    for (const request of requests) {
      const event = this.#take(request);
      const [first, last] = [Math.floor(event.phase / 2), Math.ceil(request.phase / 2)];
      await checkOneOf(checks.slice(first, last + 1), request, event);
      if (first === last) {
        certain[first] += 1;
      }
    }
    if (certain.some((count) => count === 0)) {
      throw new Error(`not every configuration was seen: ${certain}`);
    }
    return requests.length;
  }

  /** The event of a request, which is named in a header by all styles that flows use; each comes once. */
  #take(request) {
    const id = request.headers["webhook-id"]?.[0] ?? request.headers["x-partylayer-event-id"]?.[0];
    const event = this.#events.get(id);
    if (event === undefined) {
      throw new Error(`a request of no event, or the second of one: ${id}`);
    }
    this.#events.delete(id);
    return event;
  }

  /** Waits until some more events have been published. */
  async #pass() {
    const target = this.#events.size + EVENTS_A_PHASE;
    while (this.#problem === undefined && this.#events.size < target) {
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
    this.#throwProblem();
  }

  #throwProblem() {
    if (this.#problem !== undefined) {
      throw this.#problem;
    }
  }

  async #publish() {
    try {
      while (!this.#stopped) {
        const { phase } = this.#session;
        const payload = Buffer.from(`{ "number": ${this.#events.size}.0,\n  "text": "\\u017e\\/" }`);
        const event = { type: this.#type, contentType: "application/json", payload, note: BodyNote.UNSPECIFIED };
        const published = await this.#session.publish(event, 1);
        this.#events.set(published.id, { ...published, phase });
        this.#wake();
      }
    } catch (error) {
      this.#problem = error;
      this.#stopped = true;
      this.#wake();
    }
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) {
      resolve();
    }
  }
}

/** Throws unless one of the checks finds nothing wrong; what the last one found is told. */
async function checkOneOf(checks, request, event) {
  let problem = new Error(`${event.id} came before it was published`);
  for (const check of checks) {
    try {
      await check(request, event);
      return;
    } catch (error) {
      problem = error;
    }
  }
  throw new Error(`${event.id}, published in phase ${event.phase} and received in ${request.phase}`, {
    cause: problem,
  });
}
