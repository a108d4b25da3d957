/**
 * Sends events in every style through a running server, and checks that receivers as they are in the field accept them.
 *
 *     node tests/e2e/styles.mjs 127.0.0.1:7070
 *
 * The receivers are those of `styles/`, which docs/styles.md shows. What was found to hold is told in lines `ok …`.
 */

import { createStyled } from "./rounds/endpoints.mjs";
import { everything } from "./rounds/everything.mjs";
import { pings } from "./rounds/pings.mjs";
import { rotating } from "./rounds/rotating.mjs";
import { Session } from "./rounds/session.mjs";
import { switching } from "./rounds/switching.mjs";
import { unsupported } from "./rounds/unsupported.mjs";

const DEADLINE_MS = 120_000;

async function run(address) {
  const session = await Session.open(address, DEADLINE_MS);
  const endpoints = await createStyled(session);
  await everything(session, endpoints);
  await unsupported(session, endpoints);
  await pings(session, endpoints);
  for (const endpoint of endpoints) {
    await session.deleteEndpoint(endpoint);
  }
  await rotating(session);
  await switching(session);
  session.close();
}

const [address] = process.argv.slice(2);
if (address === undefined) {
  console.error("usage: node tests/e2e/styles.mjs SERVER_ADDRESS");
  process.exit(2);
}
try {
  await run(address);
  process.exit(0);
} catch (error) {
  console.error("styles end to end: FAILED:", error);
  process.exit(1);
}
