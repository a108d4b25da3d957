//! The API through a real gRPC connection: what each bad input gets, and what each call does.

#[path = "../support/mod.rs"]
mod support;

mod any;
mod arbitrary;
mod audit;
mod catalogue;
mod credentials;
mod deliveries;
mod endpoint_edges;
mod endpoints;
mod event_ends;
mod event_lists;
mod event_times;
mod event_types;
mod events;
mod headers;
mod isolation;
mod jwks;
mod keys;
mod listening;
mod page_bytes;
mod pages;
mod publish_batch;
mod publish_stream;
mod reflection;
mod requests;
mod schemas;
mod secrets;
mod states;
mod style_edges;
mod styles;
mod tenants;
mod watch;
mod wire;

use tidings::proto::{CreateEndpointRequest, Endpoint};

/// What creates an endpoint that wants everything.
fn create(tenant: &str) -> CreateEndpointRequest {
    CreateEndpointRequest { tenant_id: tenant.to_owned(), endpoint: Some(endpoint()), ..Default::default() }
}

fn endpoint() -> Endpoint {
    Endpoint { url: "https://example.com/hook".to_owned(), ..Default::default() }
}

/// Creates an endpoint and returns it.
async fn created(api: &support::Api, tenant: &str) -> Endpoint {
    api.client.clone().create_endpoint(create(tenant)).await.unwrap().into_inner().endpoint.unwrap()
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() })
}

fn span(seconds: i64, nanos: i32) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos }
}
