/** Old and new schemes at once, and the rotation of their secrets, under a steady flow of events. */

import { checkStyleHeaders } from "./arrived.mjs";
import { ERUDIKA_APP, erudikaPara } from "./bodies.mjs";
import { SchemePreset, StylePreset } from "./client.mjs";
import { keysUrl } from "./endpoints.mjs";
import { Flow } from "./flow.mjs";
import { header, plainHeaders } from "./session.mjs";
import { ERUDIKA_HEADERS, STANDARD_HEADERS } from "./table.mjs";
import { checkRefused } from "./verified.mjs";
import { verify as verifyErudikaPara } from "../styles/erudika-para.mjs";
import { verify as verifyStandard } from "../styles/standard.mjs";
import { fetchKeys, verify as verifyEd25519 } from "../styles/standard-ed25519.mjs";

const OVERLAP = { seconds: 86_400n, nanos: 0 };

export async function rotating(session) {
  await oldAndNew(session);
  await publicKeys(session);
}

/**
 * An endpoint that moves from the headers of Erudika Para to those of Standard Webhooks has both, and both secrets are
 * rotated: the one with an overlap, the other staged.
 */
async function oldAndNew(session) {
  const endpoint = await session.createEndpoint({
    path: "/rotating",
    style: {
      preset: StylePreset.ERUDIKA_PARA,
      appId: ERUDIKA_APP,
      schemes: [{ preset: SchemePreset.ERUDIKA_PARA }, { name: "new", preset: SchemePreset.STANDARD }],
    },
  });
  const [oldFirst, newFirst] = [endpoint.secrets.get("erudika-para"), endpoint.secrets.get("new")];
  const { client, options } = session;
  const endpointId = endpoint.id;
  const flow = new Flow(session, endpoint, "rotating.create");

  const overlap = await flow.change(() =>
    client.rotateEndpointSecret({ endpointId, scheme: "new", overlap: OVERLAP }, options),
  );
  const staged = await flow.change(() => client.rotateEndpointSecret({ endpointId, scheme: "erudika-para" }, options));
  const activated = { endpointId, secretId: staged.issuedSecret.secretId };
  await flow.change(() => client.activateEndpointSecret(activated, options));
  const revoked = { endpointId, secretId: overlap.secrets[1].id };
  await flow.change(() => client.revokeEndpointSecret(revoked, options));

  const [newSecond, oldSecond] = [overlap.secret, staged.secret];
  const secrets = [
    { old: oldFirst, new: [newFirst] },
    { old: oldFirst, new: [newSecond, newFirst] },
    { old: oldFirst, new: [newSecond, newFirst] },
    { old: oldSecond, new: [newSecond, newFirst] },
    { old: oldSecond, new: [newSecond] },
  ];
  const all = { old: [oldFirst, oldSecond], new: [newFirst, newSecond] };
  const count = await flow.finish(secrets.map((signing) => (...parts) => checkBoth(signing, all, ...parts)));
  await session.deleteEndpoint(endpoint);
  session.pass(`erudika-para and standard at once, both rotated: ${count} events, once, verified by those in time`);
}

/** Throws unless the request is signed by exactly the secrets `signing`, and is not by the others of `all`. */
async function checkBoth(signing, all, request, event) {
  checkStyleHeaders(request, [...ERUDIKA_HEADERS, ...STANDARD_HEADERS]);
  if (!request.body.equals(erudikaPara(event))) {
    throw new Error("another body");
  }
  if (header(request, "webhook-signature").split(" ").length !== signing.new.length) {
    throw new Error(`other signatures: ${header(request, "webhook-signature")}`);
  }
  await checkSecrets(verifyErudikaPara, request, [signing.old], all.old);
  await checkSecrets(verifyStandard, request, signing.new, all.new);
}

/** Throws unless `verify` accepts the request with the keys `signing`, and refuses it with the others of `all`. */
async function checkSecrets(verify, request, signing, all) {
  for (const key of all) {
    const receive = () => verify(request.body, plainHeaders(request), key);
    await (signing.includes(key) ? receive() : checkRefused("a key of another time", receive));
  }
}

/**
 * A receiver that fetches public keys follows a rotation without being told, and one that holds a secret does not mind
 * that its header has signatures of the other scheme too.
 */
async function publicKeys(session) {
  const schemes = [{ preset: SchemePreset.STANDARD_ED25519 }, { preset: SchemePreset.STANDARD }];
  const style = { preset: StylePreset.STANDARD_ED25519, schemes };
  const endpoint = await session.createEndpoint({ path: "/public-keys", style });
  const { client, options } = session;
  const endpointId = endpoint.id;
  const scheme = "standard-ed25519";
  const secret = endpoint.secrets.get("standard");
  const read = () => fetchKeys(keysUrl(session, endpointId));
  const flow = new Flow(session, endpoint, "rotating.keys");

  const sets = [await read()];
  const rotation = { endpointId, scheme, overlap: OVERLAP };
  const rotated = await flow.change(() => client.rotateEndpointSecret(rotation, options));
  sets.push(await read());
  const revoked = { endpointId, secretId: rotated.secrets[1].id };
  await flow.change(() => client.revokeEndpointSecret(revoked, options));
  sets.push(await read());

  if (sets.map((keys) => keys.length).join() !== "1,2,1") {
    throw new Error(`key sets of ${sets.map((keys) => keys.length)} keys`);
  }
  const [[first], [second]] = sets;
  const signing = [[first], [second, first], [second]];
  const check = (keys) => async (request) => {
    checkStyleHeaders(request, STANDARD_HEADERS);
    const one = (body, headers, key) => verifyEd25519(body, headers, [key]);
    await checkSecrets(one, request, keys, [first, second]);
    await verifyStandard(request.body, plainHeaders(request), secret);
  };
  const count = await flow.finish(signing.map(check));
  const [last] = sets[2];
  if (!last.equals(second)) {
    throw new Error("the key that stayed is not the new one");
  }
  await session.deleteEndpoint(endpoint);
  session.pass(`standard-ed25519 beside standard, rotated: ${count} events, once, verified by the keys shown`);
}
