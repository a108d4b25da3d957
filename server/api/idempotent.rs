//! Request ids: every call that changes something bears one if its caller wants to be able to repeat it.
//!
//! A handler of such a call is run by [`WebhookApi::once`], which gives a repeat its first answer before the handler
//! looks at anything that may have changed since. What the handler does with its [`Once`]: it begins its violations
//! with it, and makes of it the [`Call`] that it hands on, which also has the entry for the audit log. What does both is listed in `mutations!`, which a test
//! compares with the protocol.

use std::future::Future;

use hmac::{Hmac, KeyInit as _, Mac as _};
use prost::Message;
use sha2::Sha256;

use super::{WebhookApi, audited::Audited, error::Error, events::check_id, tenant::Tenant, violation::Violations};
use crate::{
    audit::Change,
    model::ApiKeyId,
    proto::*,
    repeat::{self, Call, Request},
};

const FIELD: &str = "request_id";

/// A request that changes something.
pub(super) trait Mutation: Message {
    /// What it is answered with.
    type Answer: Message + Default + 'static;

    /// The method: each has a request of its own.
    const METHOD: &'static str;

    /// Whose call it is: the tenant's of this id, or, if `None`, operators'.
    fn tenant_id(&self) -> Option<&str>;

    /// Takes the request id out, so that what is left is what the caller asks for.
    fn take_request_id(&mut self) -> String;
}

macro_rules! mutation {
    ($request:ident -> $answer:ident, $this:ident => $tenant_id:expr) => {
        impl Mutation for $request {
            type Answer = $answer;
            const METHOD: &'static str = stringify!($request);

            fn tenant_id(&self) -> Option<&str> {
                let $this = self;
                $tenant_id
            }

            fn take_request_id(&mut self) -> String {
                std::mem::take(&mut self.request_id)
            }
        }
    };
}

macro_rules! mutations {
    (
        tenants { $($request:ident -> $answer:ident,)* }
        operators { $($operators:ident -> $operators_answer:ident,)* }
    ) => {
        $(mutation!($request -> $answer, request => Some(&request.tenant_id));)*
        $(mutation!($operators -> $operators_answer, _request => None);)*

        /// The requests of all mutations.
        pub(super) const MUTATIONS: &[&str] =
            &[$(stringify!($request),)* $(stringify!($operators),)* UpdateTenantRequest::METHOD];
    };
}

mutations! {
    tenants {
        CreateEndpointRequest -> CreateEndpointResponse,
        UpdateEndpointRequest -> UpdateEndpointResponse,
        DeleteEndpointRequest -> DeleteEndpointResponse,
        PauseEndpointRequest -> PauseEndpointResponse,
        DisableEndpointRequest -> DisableEndpointResponse,
        ActivateEndpointRequest -> ActivateEndpointResponse,
        RotateEndpointSecretRequest -> RotateEndpointSecretResponse,
        ActivateEndpointSecretRequest -> ActivateEndpointSecretResponse,
        RevokeEndpointSecretRequest -> RevokeEndpointSecretResponse,
        CreateEventTypeRequest -> CreateEventTypeResponse,
        ImportEventTypesRequest -> ImportEventTypesResponse,
        UpdateEventTypeRequest -> UpdateEventTypeResponse,
        DeleteEventTypeRequest -> DeleteEventTypeResponse,
        RetryDeliveryRequest -> RetryDeliveryResponse,
        CancelDeliveryRequest -> CancelDeliveryResponse,
    }
    operators {
        CreateTenantRequest -> CreateTenantResponse,
        // Of operators, for the tenant is gone when the call is repeated.
        DeleteTenantRequest -> DeleteTenantResponse,
        CreateKeyRequest -> CreateKeyResponse,
        RevokeKeyRequest -> RevokeKeyResponse,
    }
}

// A tenant is named by what it is to be.
mutation!(UpdateTenantRequest -> UpdateTenantResponse, request => {
    Some(request.tenant.as_ref().map_or("", |tenant| &tenant.id))
});

/// A call that acts once.
pub(super) struct Once<Q: Audited> {
    /// Whose it is.
    pub(super) tenant: Tenant,
    /// Its request id, if it has one, or what is wrong with that.
    request: Result<Option<Request<Q::Answer>>, String>,
    /// Its entry in the audit log.
    change: Change,
    api: WebhookApi,
}

impl WebhookApi {
    /// Answers a call with what `act` answers, or, if it is a repeat, with its first answer.
    pub(super) async fn once<Q, A>(
        &self,
        mut request: Q,
        act: impl FnOnce(Q, Once<Q>) -> A + Send,
    ) -> Result<Q::Answer, Error>
    where
        Q: Audited,
        A: Future<Output = Result<Q::Answer, Error>> + Send,
    {
        let tenant = match request.tenant_id() {
            Some(id) => self.tenant(id)?,
            None => Tenant::of_operators(),
        };
        let caller = self.caller()?.key;
        let id = request.take_request_id();
        let change = self.change_of(&request, &tenant, &id)?;
        let given = match check_id(&id) {
            _ if id.is_empty() => Ok(None),
            Ok(()) => Ok(Some(Request::new(id, fingerprint(&self.shared.keys.fingerprints, caller, &request)))),
            Err(problem) => Err(problem),
        };
        if let Ok(Some(given)) = &given
            && let Some(first) = given.first_answer::<Error>(&self.shared, tenant.key).await?
        {
            return Ok(first);
        }
        act(request, Once { tenant, request: given, change, api: self.clone() }).await
    }
}

impl<Q: Audited> Once<Q> {
    /// What is wrong with the call so far.
    pub(super) fn violations(&self) -> Violations {
        let mut violations = Violations::default();
        if let Err(problem) = &self.request {
            violations.add(FIELD, problem.as_str());
        }
        violations
    }

    /// The call, which is answered with what `show` makes of the change. `show` is run before the change is committed.
    pub(super) fn call<T>(
        self,
        show: impl FnOnce(&WebhookApi, &Tenant, T) -> Q::Answer + Send + 'static,
    ) -> Result<Call<T, Q::Answer>, Error> {
        self.violations().check()?;
        let Self { tenant, request, change, api } = self;
        let request = request.unwrap_or_default();
        Ok(Call::new(tenant.key, request, move |given| show(&api, &tenant, given)).audited(change, Q::made))
    }
}

/// 128 bits of HMAC-SHA256 over the caller's key, the method and the request as protobuf, without its id: fields in the order
/// of their numbers, the entries of maps by their keys. What this version of the protocol does not know is not in it.
fn fingerprint<Q: Mutation>(key: &[u8; 32], caller: ApiKeyId, request: &Q) -> [u8; 16] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in [b"request".as_slice(), &caller.0.to_be_bytes(), Q::METHOD.as_bytes(), &repeat::encode(request)] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    fingerprint
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::proto::DESCRIPTORS;

    /// What a method's name begins with that changes nothing, or that is made safe to repeat otherwise.
    const OTHERS: [&str; 5] = ["Get", "List", "Watch", "Publish", "BatchPublish"];

    /// Methods that can be repeated as they are: each ping is an event of its own, what has ended stays so, and of
    /// tokens nothing is stored.
    const REPEATABLE: [&str; 4] = ["PingEndpoint", "CancelEvent", "ExpungeEvent", "CreateDashboardToken"];

    #[test]
    fn every_mutation_has_a_request_id_and_is_listed() {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let messages: Vec<_> = files.iter().flat_map(|file| &file.message_type).collect();
        let methods = files.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
        let mut mutations = BTreeSet::new();
        for method in methods {
            let request = method.input_type().rsplit('.').next().unwrap();
            let message = messages.iter().find(|message| message.name() == request).unwrap();
            let has_id = message.field.iter().any(|field| field.name() == FIELD);
            let other = OTHERS.iter().any(|other| method.name().starts_with(other));
            let acts = !other && !REPEATABLE.contains(&method.name());
            assert_eq!(has_id, acts, "{}", method.name());
            if acts {
                mutations.insert(request);
            }
        }
        assert_eq!(mutations, MUTATIONS.iter().copied().collect());
        assert!(mutations.len() >= 12, "{mutations:?}");
    }

    #[test]
    fn caller_method_key_and_every_field_count() {
        let fingerprint = |key, request: &RetryDeliveryRequest| fingerprint(key, ApiKeyId(1), request);
        let id = |id: &str| RetryDeliveryRequest { delivery_id: id.to_owned(), ..Default::default() };
        let same = fingerprint(&[7; 32], &id("a"));
        assert_eq!(fingerprint(&[7; 32], &id("a")), same);
        assert_ne!(fingerprint(&[8; 32], &id("a")), same);
        assert_ne!(fingerprint(&[7; 32], &id("b")), same);
        let other = CancelDeliveryRequest { delivery_id: "a".to_owned(), ..Default::default() };
        assert_eq!(other.encode_to_vec(), id("a").encode_to_vec(), "alike but for the method");
        assert_ne!(super::fingerprint(&[7; 32], ApiKeyId(1), &other), same);
        assert_ne!(super::fingerprint(&[7; 32], ApiKeyId(2), &id("a")), same);
    }
}
