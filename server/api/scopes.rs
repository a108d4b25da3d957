//! Which scope each method asks for: the one table, which a test compares with the protocol.

use std::collections::HashMap;

use crate::model::Scope;

/// What a path asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing: whoever checks the server's health has no key.
    Nothing,
    /// A key, whatever it may do: reflection, and what there is no method for.
    AnyKey,
    /// A key with this scope.
    Scope(Scope),
}

const WEBHOOK_SERVICE: &str = "tidings.v1.WebhookService";
const ADMIN_SERVICE: &str = "tidings.v1.AdminService";
const HEALTH_PREFIX: &str = "/grpc.health.v1.Health/";

/// The methods of the protocol. Their documentation, in `AdminService`, has the same list.
const METHODS: &[(&str, Scope, &[&str])] = &[
    (WEBHOOK_SERVICE, Scope::EventsPublish, &["PublishEvent", "BatchPublishEvents", "PublishEventStream"]),
    (
        WEBHOOK_SERVICE,
        Scope::EndpointsRead,
        &["GetEndpoint", "ListEndpoints", "ListEndpointSecrets", "GetEventType", "ListEventTypes"],
    ),
    (ADMIN_SERVICE, Scope::EndpointsRead, &["GetTenant"]),
    (
        WEBHOOK_SERVICE,
        Scope::EndpointsWrite,
        &[
            "CreateEndpoint",
            "UpdateEndpoint",
            "DeleteEndpoint",
            "PauseEndpoint",
            "DisableEndpoint",
            "ActivateEndpoint",
            "PingEndpoint",
            "CreateEventType",
            "ImportEventTypes",
            "UpdateEventType",
            "DeleteEventType",
        ],
    ),
    (
        WEBHOOK_SERVICE,
        Scope::SecretsRotate,
        &["RotateEndpointSecret", "ActivateEndpointSecret", "RevokeEndpointSecret"],
    ),
    (
        WEBHOOK_SERVICE,
        Scope::DeliveriesRead,
        &["GetEvent", "ListEvents", "GetDelivery", "ListDeliveries", "ListAttempts", "WatchDeliveries"],
    ),
    (ADMIN_SERVICE, Scope::DeliveriesRead, &["CreateDashboardToken"]),
    (WEBHOOK_SERVICE, Scope::DeliveriesWrite, &["CancelEvent", "ExpungeEvent", "RetryDelivery", "CancelDelivery"]),
    (
        ADMIN_SERVICE,
        Scope::Admin,
        &[
            "CreateTenant",
            "ListTenants",
            "UpdateTenant",
            "DeleteTenant",
            "CreateKey",
            "ListKeys",
            "RevokeKey",
            "ListAuditEntries",
        ],
    ),
];

/// Methods that answer with a stream.
const STREAMS: &[&str] = &["PublishEventStream", "WatchDeliveries"];

/// What every path asks for.
#[derive(Clone, Debug)]
pub(super) struct Table(HashMap<String, Scope>);

impl Table {
    pub(super) fn new() -> Self {
        let of_service = |(service, scope, methods): &(&str, Scope, &[&str])| {
            methods.iter().map(|method| (format!("/{service}/{method}"), *scope)).collect::<Vec<_>>()
        };
        Self(METHODS.iter().flat_map(of_service).collect())
    }

    pub(super) fn asks(&self, path: &str) -> Asks {
        match self.0.get(path) {
            Some(scope) => Asks::Scope(*scope),
            None if path.starts_with(HEALTH_PREFIX) => Asks::Nothing,
            None => Asks::AnyKey,
        }
    }

    /// Whether the method of this path may answer with a stream.
    pub(super) fn streams(&self, path: &str) -> bool {
        let method = path.rsplit('/').next().unwrap_or_default();
        !self.0.contains_key(path) || STREAMS.contains(&method)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::proto::DESCRIPTORS;

    #[test]
    fn every_method_of_the_protocol_asks_for_a_scope_and_is_documented_with_it() {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let services = files.iter().flat_map(|file| file.service.iter().map(|service| (file.package(), service)));
        let paths: BTreeSet<String> = services
            .flat_map(|(package, service)| {
                service.method.iter().map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
            })
            .collect();
        let table = Table::new();
        assert_eq!(table.0.keys().cloned().collect::<BTreeSet<_>>(), paths);
        for file in &files {
            for (service, method) in
                file.service.iter().flat_map(|service| service.method.iter().map(move |m| (service, m)))
            {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                assert_eq!(table.streams(&path), method.server_streaming(), "{path}");
            }
        }
        let listed: usize = METHODS.iter().map(|(_, _, methods)| methods.len()).sum();
        assert_eq!(listed, paths.len(), "none is listed twice");

        let documented = include_str!("../../proto/tidings/v1/admin_service.proto");
        for scope in Scope::ALL {
            let begins = format!("// `{scope}` is for ");
            let paragraph = documented.split("\n//\n").find(|paragraph| paragraph.starts_with(&begins)).unwrap();
            let named: BTreeSet<&str> =
                paragraph.split([' ', ',', '.', '\n']).filter(|word| !word.is_empty()).collect();
            for (_, _, methods) in METHODS.iter().filter(|(_, of, _)| *of == scope) {
                for method in *methods {
                    assert!(named.contains(method), "{method} is not in the list of {scope}");
                }
            }
        }
    }

    #[test]
    fn health_is_open_and_what_is_unknown_is_not() {
        let table = Table::new();
        assert_eq!(table.asks("/grpc.health.v1.Health/Check"), Asks::Nothing);
        assert_eq!(table.asks("/tidings.v1.AdminService/CreateKey"), Asks::Scope(Scope::Admin));
        for path in ["", "/", "/x", "/grpc.health.v1.Healthy/Check", "/tidings.v1.AdminService/createkey"] {
            assert_eq!(table.asks(path), Asks::AnyKey, "{path}");
        }
        assert_eq!(table.asks("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), Asks::AnyKey);
    }
}
