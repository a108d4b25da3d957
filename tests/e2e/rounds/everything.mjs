/** Every event to every style: byte for byte, exactly once, at the first attempt, and verified as its receivers do. */

import { checkArrived } from "./arrived.mjs";
import { AttemptOutcome, BodyNote, DeliveryState } from "./client.mjs";
import { jsonEvents } from "./events.mjs";

export async function everything(session, endpoints) {
  const events = await session.publishAll(jsonEvents(), endpoints.length);
  const ends = [];
  for (const endpoint of endpoints) {
    ends.push(await session.takeEnded(endpoint, events.length));
  }
  const requests = session.takeRequests();
  if (requests.length !== endpoints.length * events.length) {
    throw new Error(`${requests.length} requests came for ${events.length} events`);
  }
  for (const [index, endpoint] of endpoints.entries()) {
    const here = requests.filter(({ path }) => path === endpoint.path);
    await checkArrived(endpoint, events, here);
    await checkAttempts(session, endpoint, events, ends[index]);
    session.pass(`${endpoint.name}: ${here.length} events, byte for byte, exactly once, verified`);
  }
}

/** Throws unless every delivery succeeded, and attempts tell of the bodies that are not as the style promises. */
async function checkAttempts(session, endpoint, events, ends) {
  const notes = new Map(events.map(({ id, note }) => [id, note]));
  const [sample] = ends.keys();
  for (const [deliveryId, { eventId, eventType, state }] of ends) {
    if (state !== DeliveryState.DELIVERED) {
      throw new Error(`${eventType} at ${endpoint.name} is ${DeliveryState[state]}`);
    }
    // One by one where bodies may differ, elsewhere one for all.
    if (endpoint.rereads || deliveryId === sample) {
      const expected = endpoint.rereads ? notes.get(eventId) : BodyNote.UNSPECIFIED;
      const { attempts } = await session.client.listAttempts({ deliveryId }, session.options);
      const [{ outcome, bodyNote }] = attempts;
      if (attempts.length !== 1 || outcome !== AttemptOutcome.SUCCEEDED || bodyNote !== expected) {
        throw new Error(`${eventType} at ${endpoint.name}: ${attempts.length} attempts, ${BodyNote[bodyNote]}`);
      }
    }
  }
}
