//! What tools ask a server before they call it: reflection, in both versions, and health.

use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt as _;

use crate::support::{Api, channel};

const SERVICE: &str = "tidings.v1.WebhookService";
const ADMIN_SERVICE: &str = "tidings.v1.AdminService";

/// What a refusal's violations are sent in.
const VIOLATIONS: &str = "google.rpc.BadRequest";

/// Asks one version of reflection for the services and for the file that defines `SERVICE`. The two versions differ in
/// nothing but their package.
macro_rules! reflected {
    ($version:ident, $api:expr) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let ask = |request| ServerReflectionRequest { message_request: Some(request), ..Default::default() };
        let questions = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(SERVICE.to_owned())),
            ask(MessageRequest::FileContainingSymbol(VIOLATIONS.to_owned())),
        ];
        let mut client = ServerReflectionClient::new(channel($api.address()).await);
        let mut answers = client.server_reflection_info(tokio_stream::iter(questions)).await.unwrap().into_inner();
        let mut next = async || answers.message().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(list) = next().await else { panic!("not a list of services") };
        let services: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        let MessageResponse::FileDescriptorResponse(files) = next().await else { panic!("not a file") };
        // Without it grpcurl shows the details of errors as bytes.
        assert!(matches!(next().await, MessageResponse::FileDescriptorResponse(_)), "{VIOLATIONS} is not told");
        (services, files.file_descriptor_proto)
    }};
}

/// The comment of the file's first service.
fn service_comment(file: &FileDescriptorProto) -> &str {
    // Field 6 of FileDescriptorProto: the services.
    let locations = &file.source_code_info.as_ref().expect("source info").location;
    locations.iter().find(|location| location.path == [6, 0]).expect("the service's place").leading_comments()
}

#[tokio::test]
async fn both_versions_of_reflection_tell_the_service_and_its_comments() {
    let api = Api::start().await;
    for (services, files) in [reflected!(v1, api), reflected!(v1alpha, api)] {
        for service in [SERVICE, ADMIN_SERVICE, "grpc.health.v1.Health"] {
            assert!(services.iter().any(|name| name == service), "{services:?}");
        }
        let files: Vec<_> = files.iter().map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap()).collect();
        let file = files.iter().find(|file| file.service.iter().any(|service| service.name() == "WebhookService"));
        let file = file.expect("the service's file");
        assert_eq!((file.package(), file.service.len()), ("tidings.v1", 1));
        assert!(file.service[0].method.iter().any(|method| method.name() == "WatchDeliveries"));
        assert!(service_comment(file).contains("Outgoing webhooks"), "{}", service_comment(file));
    }
}

#[tokio::test]
async fn health_is_serving() {
    let api = Api::start().await;
    let mut client = HealthClient::new(channel(api.address()).await);
    for service in ["", SERVICE, ADMIN_SERVICE] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let request = HealthCheckRequest { service: "tidings.v1.NoService".to_owned() };
    let unknown = client.check(request).await.unwrap_err();
    let info = unknown.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((unknown.code(), info.reason.as_str()), (tonic::Code::NotFound, "NOT_FOUND"));
    assert_eq!(info.metadata["resource"], "service");
}
