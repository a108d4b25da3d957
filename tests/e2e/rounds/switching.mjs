/** The style of an endpoint is switched, there and back, under a steady flow of events. */

import { checkStyleHeaders } from "./arrived.mjs";
import * as bodies from "./bodies.mjs";
import { StylePreset } from "./client.mjs";
import { Flow } from "./flow.mjs";
import { header, plainHeaders, secretsOf } from "./session.mjs";
import { PARTYLAYER_HEADERS, STANDARD_HEADERS } from "./table.mjs";
import { verify as verifyPartylayer } from "../styles/partylayer.mjs";
import { verify as verifyStandard } from "../styles/standard.mjs";

const PARTYLAYER_SECRET = "held by the receiver beforehand";

export async function switching(session) {
  const standard = { preset: StylePreset.STANDARD };
  const endpoint = await session.createEndpoint({ path: "/switching", style: standard });
  const first = endpoint.secrets.get("standard");
  const flow = new Flow(session, endpoint, "switching.update");
  const to = (style, secrets = []) =>
    flow.change(() => {
      const updateMask = { paths: ["style"] };
      return session.client.updateEndpoint(
        { endpoint: { id: endpoint.id, style }, updateMask, secrets },
        session.options,
      );
    });

  const para = await to({ preset: StylePreset.PARA });
  const partylayer = await to({ preset: StylePreset.PARTYLAYER, apiVersion: bodies.PARTYLAYER_VERSION }, [
    { scheme: "partylayer", secret: PARTYLAYER_SECRET },
  ]);
  const back = await to(standard);
  const last = secretsOf(back.issuedSecrets).get("standard");
  // Para signs as Standard Webhooks does, so nothing new had to be issued.
  const issued = [para, partylayer, back].map(({ issuedSecrets }) => issuedSecrets.map(({ scheme }) => scheme).join());
  if (issued.join("; ") !== "; partylayer; standard" || last === first) {
    throw new Error(`secrets were issued for: ${issued.join("; ")}`);
  }

  const signed = (headers, contentType, body, verify, secret) => async (request, event) => {
    checkStyleHeaders(request, headers);
    if (header(request, "content-type") !== contentType || !request.body.equals(body(event))) {
      throw new Error(`headers of one style, another body: ${request.body}`);
    }
    await verify(request.body, plainHeaders(request), secret);
  };
  const json = "application/json";
  const count = await flow.finish([
    signed(STANDARD_HEADERS, json, bodies.asPublished, verifyStandard, first),
    signed(STANDARD_HEADERS, json, bodies.para, verifyStandard, first),
    signed(PARTYLAYER_HEADERS, json, bodies.partylayer, verifyPartylayer, PARTYLAYER_SECRET),
    signed(STANDARD_HEADERS, json, bodies.asPublished, verifyStandard, last),
  ]);
  await session.deleteEndpoint(endpoint);
  session.pass(`standard, para, partylayer and back: ${count} events, once, each of one style throughout`);
}
