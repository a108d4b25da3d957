//! The audit log: list.

use prost::Message as _;

use super::{
    WebhookApi,
    audit_listing::{Page, Query},
    audited::methods,
    convert::{read_timestamp, timestamp},
    error::Error,
    events::check_id,
    page::{List, Place, Scope, read_size},
    violation::{Violations, echo},
};
use crate::{
    model::{Actor, ApiKeyId, AuditEntry, AuditFilter, TenantKey, Timestamp},
    proto::{self, ListAuditEntriesRequest, ListAuditEntriesResponse},
    store::AuditPosition,
};

impl WebhookApi {
    pub(super) async fn list_audit_entries(
        &self,
        request: ListAuditEntriesRequest,
    ) -> Result<ListAuditEntriesResponse, Error> {
        let mut violations = Violations::default();
        let size = read_size(request.page_size, &mut violations);
        let given = request.filter.unwrap_or_default();
        let filter = read_filter(&given, &mut violations);
        let (key, bound) = (&self.shared.keys.tokens, given.encode_to_vec());
        let scope = Scope { key, list: List::AuditEntries, tenant: TenantKey::OPERATORS, filter: &bound };
        let after = scope.read(&request.page_token, &mut violations);
        violations.check()?;

        let after = after.map_or(AuditPosition::start(filter.end), |Place(time, key)| {
            AuditPosition(Timestamp::from_micros(time), key)
        });
        let query = Query { filter, after, size };
        let read = self.shared.db.read(move |conn| Box::pin(async move { query.run(conn).await }));
        let Page { entries, next, .. } = read.await?;
        let next = next.map(|AuditPosition(time, key)| scope.write(Place(time.as_micros(), key)));
        Ok(ListAuditEntriesResponse {
            entries: entries.into_iter().map(|entry| self.show_audit_entry(entry)).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    fn show_audit_entry(&self, entry: AuditEntry) -> proto::AuditEntry {
        let actor = match entry.actor {
            Actor::Key(_) => proto::AuditActor::Key,
            Actor::EnvironmentKey(_) => proto::AuditActor::EnvironmentKey,
            Actor::Server => proto::AuditActor::Server,
        };
        proto::AuditEntry {
            id: self.shared.ids.audit_entry(entry.key),
            create_time: Some(timestamp(entry.time)),
            actor: actor as i32,
            key_id: entry.actor.key().map(|key| key.to_string()).unwrap_or_default(),
            tenant_id: entry.tenant,
            method: entry.method,
            resources: entry.resources,
            resource_count: i32::try_from(entry.resource_count).unwrap_or(i32::MAX),
            fields: entry.fields,
            remote_address: entry.remote,
            request_id: entry.request_id,
        }
    }
}

/// Reads the field `filter`.
fn read_filter(given: &proto::AuditFilter, violations: &mut Violations) -> AuditFilter {
    let tenant = (!given.tenant_id.is_empty()).then(|| check_id(&given.tenant_id).map(|()| given.tenant_id.clone()));
    let key = (!given.key_id.is_empty()).then(|| ApiKeyId::parse(&given.key_id).map_err(|error| error.to_string()));
    let method = (!given.method.is_empty()).then(|| read_method(&given.method));
    let start = given.start_time.as_ref().map(read_timestamp);
    let end = given.end_time.as_ref().map(read_timestamp);
    let filter = AuditFilter {
        tenant: tenant.and_then(|tenant| violations.take("filter.tenant_id", tenant)),
        key: key.and_then(|key| violations.take("filter.key_id", key)),
        method: method.and_then(|method| violations.take("filter.method", method)),
        start: start.and_then(|start| violations.take("filter.start_time", start)),
        end: end.and_then(|end| violations.take("filter.end_time", end)),
    };
    if filter.start.zip(filter.end).is_some_and(|(start, end)| end < start) {
        violations.add("filter.end_time", "must not be before `start_time`");
    }
    filter
}

fn read_method(given: &str) -> Result<String, String> {
    if methods().any(|method| method == given) {
        return Ok(given.to_owned());
    }
    Err(format!("must be the name of a method that has entries, such as `UpdateEndpoint`; `{}` is not", echo(given)))
}
