/**
 * The client: the generated service over gRPC, and the generated messages beside it.
 *
 * Hand-written; everything under `gen/` is generated from `proto/tidings/v1`.
 */

import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { WebhookService } from "./gen/tidings/v1/webhook_service_pb.js";

export * from "./gen/tidings/v1/delivery_pb.js";
export * from "./gen/tidings/v1/endpoint_pb.js";
export * from "./gen/tidings/v1/error_pb.js";
export * from "./gen/tidings/v1/event_pb.js";
export * from "./gen/tidings/v1/event_type_pb.js";
export * from "./gen/tidings/v1/secret_pb.js";
export * from "./gen/tidings/v1/signature_pb.js";
export * from "./gen/tidings/v1/style_pb.js";
export * from "./gen/tidings/v1/watch_pb.js";
export { WebhookService };

/** A client of the webhook service. */
export type WebhookClient = Client<typeof WebhookService>;

/**
 * Connects to a server, lazily: the first call opens the connection.
 *
 * @param address `host:port` of a server without TLS.
 * @param apiKey The API key that calls bear.
 */
export function connect(address: string, apiKey: string): WebhookClient {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${apiKey}`);
    return next(request);
  };
  return createClient(WebhookService, createGrpcTransport({ baseUrl: `http://${address}`, interceptors: [authorize] }));
}
