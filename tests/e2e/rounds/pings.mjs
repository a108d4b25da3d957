/** A ping comes in the endpoint's own style. */

import { checkArrived } from "./arrived.mjs";
import { AttemptOutcome, BodyNote } from "./client.mjs";

export async function pings(session, endpoints) {
  for (const endpoint of endpoints) {
    const { delivery, attempt } = await session.client.pingEndpoint({ endpointId: endpoint.id }, session.options);
    if (attempt.outcome !== AttemptOutcome.SUCCEEDED || delivery.eventType !== "test.ping") {
      throw new Error(`${endpoint.name}: the ping is ${AttemptOutcome[attempt.outcome]}`);
    }
    await session.takeEnded(endpoint, 1);
    const event = { ...(await session.event(delivery.eventId)), note: BodyNote.UNSPECIFIED };
    await checkArrived(endpoint, [event], session.takeRequests());
  }
  session.pass(`${endpoints.length} pings, each in its endpoint's style`);
}
