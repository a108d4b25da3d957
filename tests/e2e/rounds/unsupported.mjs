/** Payloads that are no JSON: styles that wrap or rewrite give them up without a request, the others deliver them. */

import { checkArrived } from "./arrived.mjs";
import { DeliveryState, FailureKind } from "./client.mjs";
import { otherEvents } from "./events.mjs";

export async function unsupported(session, endpoints) {
  const events = await session.publishAll(otherEvents(), endpoints.length);
  let [dead, delivered] = [0, 0];
  for (const endpoint of endpoints) {
    const ends = await session.takeEnded(endpoint, events.length);
    const here = session.receiver.requests.filter(({ path }) => path === endpoint.path);
    await checkArrived(endpoint, endpoint.wraps ? [] : events, here);
    for (const { eventType, state, failureKind, httpStatus } of ends.values()) {
      const [wantedState, wantedKind] = endpoint.wraps
        ? [DeliveryState.DEAD, FailureKind.ENVELOPE_UNSUPPORTED]
        : [DeliveryState.DELIVERED, FailureKind.UNSPECIFIED];
      if (state !== wantedState || failureKind !== wantedKind || (httpStatus !== 0) !== !endpoint.wraps) {
        throw new Error(`${eventType} at ${endpoint.name} is ${DeliveryState[state]}, ${FailureKind[failureKind]}`);
      }
    }
    if (endpoint.wraps) {
      dead += ends.size;
    } else {
      delivered += ends.size;
    }
  }
  session.takeRequests();
  session.pass(`no JSON: ${delivered} deliveries verified, ${dead} given up without a request`);
}
