//! Event types between the protocol and the model. Schemas are compiled here, on threads that nobody waits for but the call.

use std::{collections::HashMap, sync::Arc};

use super::{
    WebhookApi,
    convert::timestamp,
    error::Error,
    events::check_type,
    mask::EventTypeMask,
    settings::TEXT_BYTES_MAX,
    tenant::Tenant,
    violation::{Violations, check_text, echo},
};
use crate::{
    configure::{EventTypePatch, event_type_etag},
    model::{EVENT_TYPE_BYTES_MAX, EventType, EventTypeFilter, EventTypeSettings, TenantKey, schema::Schema},
    proto, store,
};

/// A schema that was asked for: none, one that can be used, or what is wrong with it.
type Compiled = Result<Option<Arc<Schema>>, String>;

impl WebhookApi {
    /// Reads event types that stand at `field` of their number, no two of one name; one that is refused is left out.
    pub(super) async fn read_event_types(
        &self,
        tenant: TenantKey,
        given: Vec<proto::EventType>,
        field: impl Fn(usize) -> String,
        violations: &mut Violations,
    ) -> Result<Vec<EventTypeSettings>, Error> {
        let compiled = self.compile(tenant, &given).await?;
        let mut read = Vec::with_capacity(given.len());
        let mut first_of_name = HashMap::new();
        for (index, (given, schema)) in given.into_iter().zip(compiled).enumerate() {
            let at = field(index);
            let name = violations.take(&format!("{at}.name"), check_type(&given.name));
            let first = *first_of_name.entry(given.name.clone()).or_insert(index);
            if name.is_some() && first != index {
                let repeats = format!("repeats the name of {}; leave one of them out", field(first));
                violations.add(format!("{at}.name"), repeats);
            }
            let description = check_text(&given.description, TEXT_BYTES_MAX);
            violations.take(&format!("{at}.description"), description);
            let schema = violations.take(&format!("{at}.schema"), schema);
            if let (Some(()), Some(schema)) = (name, schema) {
                let (name, description, deprecated) = (given.name, given.description, given.deprecated);
                read.push(EventTypeSettings { name, description, schema, deprecated });
            }
        }
        Ok(read)
    }

    /// Reads the fields of an event type that `mask` names, and looks at no other.
    pub(super) async fn read_event_type_patch(
        &self,
        tenant: TenantKey,
        given: &proto::EventType,
        mask: EventTypeMask,
        violations: &mut Violations,
    ) -> Result<EventTypePatch, Error> {
        let mut patch =
            EventTypePatch { deprecated: mask.deprecated.then_some(given.deprecated), ..Default::default() };
        if mask.description {
            let checked = check_text(&given.description, TEXT_BYTES_MAX);
            violations.take("event_type.description", checked);
            patch.description = Some(given.description.clone());
        }
        if mask.schema {
            let compiled = self.compile(tenant, std::slice::from_ref(given)).await?;
            for schema in compiled {
                patch.schema = violations.take("event_type.schema", schema);
            }
        }
        Ok(patch)
    }

    /// An event type.
    pub(super) fn show_event_type(&self, tenant: &Tenant, event_type: EventType) -> proto::EventType {
        proto::EventType {
            tenant_id: tenant.id.to_string(),
            create_time: Some(timestamp(event_type.created)),
            update_time: Some(timestamp(event_type.updated)),
            etag: event_type_etag(&self.shared.keys, tenant.key, &event_type),
            name: event_type.name,
            description: event_type.description,
            schema: event_type.schema,
            deprecated: event_type.deprecated,
        }
    }

    /// Compiles the schemas of event types, but for those that are in use as they are.
    async fn compile(&self, tenant: TenantKey, given: &[proto::EventType]) -> Result<Vec<Compiled>, Error> {
        let present = |given: &proto::EventType| self.shared.catalogue.compiled(tenant, &given.name, &given.schema);
        let texts: Vec<_> = given.iter().map(|given| (present(given), given.schema.clone())).collect();
        let compiling = tokio::task::spawn_blocking(move || {
            let compile = |(present, text): (Option<Arc<Schema>>, String)| match present {
                Some(present) => Ok(Some(present)),
                None if text.is_empty() => Ok(None),
                None => Schema::compile(&text).map(|schema| Some(Arc::new(schema))).map_err(|error| error.to_string()),
            };
            texts.into_iter().map(compile).collect()
        });
        compiling.await.map_err(|_| Error::Store(store::Error::Panicked))
    }
}

/// Reads a filter at `filter`.
pub(super) fn read_event_type_filter(
    filter: Option<proto::EventTypeFilter>,
    violations: &mut Violations,
) -> EventTypeFilter {
    let Some(proto::EventTypeFilter { name_prefix, deprecated }) = filter else { return EventTypeFilter::default() };
    violations.take("filter.name_prefix", check_prefix(&name_prefix));
    EventTypeFilter { name_prefix, deprecated }
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    let rule = format!("must be at most {EVENT_TYPE_BYTES_MAX} characters of A-Z, a-z, 0-9, `_`, `-` and `.`");
    if prefix.len() > EVENT_TYPE_BYTES_MAX {
        return Err(format!("{rule}; it has {} bytes", prefix.len()));
    }
    if !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')) {
        return Err(format!("{rule}; `{}` is not", echo(prefix)));
    }
    Ok(())
}

/// A filter in bytes that differ for different filters, for page tokens.
pub(super) fn filter_bytes(filter: &EventTypeFilter) -> Vec<u8> {
    let deprecated = match filter.deprecated {
        None => b'-',
        Some(false) => b'0',
        Some(true) => b'1',
    };
    [&[deprecated], filter.name_prefix.as_bytes()].concat()
}
