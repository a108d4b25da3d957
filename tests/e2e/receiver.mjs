/**
 * A receiver of webhooks that keeps every request as it came: the path, the headers, the bytes of the body.
 *
 * It answers 204 to everything, so that whatever is not delivered exactly once is the sender's doing.
 */

import { createServer } from "node:http";
import { once } from "node:events";

/**
 * Starts a receiver on a free port of loopback: `{ url, requests, close }`. `note` gives what is to be kept with a
 * request that has come.
 */
export async function startReceiver(note = () => ({})) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    requests.push({
      ...note(),
      method: request.method,
      path: request.url,
      // Every value of a name, so that a header sent twice is seen.
      headers: request.headersDistinct,
      body: Buffer.concat(chunks),
    });
    response.writeHead(204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
