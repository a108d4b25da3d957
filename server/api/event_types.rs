//! Event types: import, get, list.

use std::collections::HashMap;

use super::{
    WebhookApi,
    convert::timestamp,
    error::{Error, Resource},
    events::check_type,
    idempotent::Once,
    page::{List, Scope, read_size},
    settings::TEXT_BYTES_MAX,
    tenant::Tenant,
    violation::{Violations, check_text},
};
use crate::{
    configure::Imported,
    model::{EventType, EventTypeSettings},
    proto::{
        self, GetEventTypeRequest, GetEventTypeResponse, ImportEventTypesRequest, ImportEventTypesResponse,
        ListEventTypesRequest, ListEventTypesResponse,
    },
    store,
};

/// Event types of one import, at most: one transaction holds publishing up for as long as it lasts.
const IMPORT_MAX: usize = 1_000;

impl WebhookApi {
    pub(super) async fn import_event_types(
        &self,
        request: ImportEventTypesRequest,
        once: Once<ImportEventTypesRequest>,
    ) -> Result<ImportEventTypesResponse, Error> {
        let mut violations = once.violations();
        let types = read_event_types(request.event_types, &mut violations);
        violations.check()?;
        let call = once.call(|_, _, imported: Imported| {
            let count = |count| i32::try_from(count).unwrap_or(i32::MAX);
            ImportEventTypesResponse {
                created_count: count(imported.created),
                updated_count: count(imported.updated),
                unchanged_count: count(imported.unchanged),
            }
        })?;
        Ok(self.configurator.import_event_types(call, types).await?)
    }

    pub(super) async fn get_event_type(&self, request: GetEventTypeRequest) -> Result<GetEventTypeResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        violations.take("name", check_type(&request.name));
        violations.check()?;

        let name = request.name;
        let read = self
            .shared
            .db
            .read(move |conn| Box::pin(async move { store::event_type::get(conn, tenant.key, &name).await }));
        let event_type = read.await?.ok_or(Error::NotFound(Resource::EventType))?;
        Ok(GetEventTypeResponse { event_type: Some(show_event_type(&tenant, event_type)) })
    }

    pub(super) async fn list_event_types(
        &self,
        request: ListEventTypesRequest,
    ) -> Result<ListEventTypesResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let size = read_size(request.page_size, &mut violations);
        let scope = Scope { key: &self.shared.keys.tokens, list: List::EventTypes, tenant: tenant.key, filter: &[] };
        let after = scope.read_name(&request.page_token, &mut violations).unwrap_or_default();
        violations.check()?;

        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let list = self
            .shared
            .db
            .read(move |conn| Box::pin(async move { store::event_type::list(conn, tenant.key, &after, limit).await }));
        let mut types = list.await?;
        let more = types.len() > size;
        types.truncate(size);
        let next = types.last().filter(|_| more).map(|last| scope.write_name(&last.settings.name));
        Ok(ListEventTypesResponse {
            event_types: types.into_iter().map(|event_type| show_event_type(&tenant, event_type)).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }
}

/// Reads a list to import. What is beyond the thousandth is not looked at but reported once.
fn read_event_types(types: Vec<proto::EventType>, violations: &mut Violations) -> Vec<EventTypeSettings> {
    match types.len() {
        0 => violations.add("event_types", format!("is required: 1 to {IMPORT_MAX} event types; it has 0")),
        1..=IMPORT_MAX => {}
        many => violations.add("event_types", format!("must have at most {IMPORT_MAX} entries; it has {many}")),
    }
    let mut first_of_name = HashMap::new();
    for (index, given) in types.iter().take(IMPORT_MAX).enumerate() {
        let name = format!("event_types[{index}].name");
        if violations.take(&name, check_type(&given.name)).is_some() {
            let first = *first_of_name.entry(given.name.as_str()).or_insert(index);
            if first != index {
                violations.add(name, format!("repeats the name of event_types[{first}]; leave one of them out"));
            }
        }
        let description = check_text(&given.description, TEXT_BYTES_MAX);
        violations.take(&format!("event_types[{index}].description"), description);
    }
    let read = |given: proto::EventType| EventTypeSettings { name: given.name, description: given.description };
    types.into_iter().map(read).collect()
}

fn show_event_type(tenant: &Tenant, event_type: EventType) -> proto::EventType {
    proto::EventType {
        name: event_type.settings.name,
        tenant_id: tenant.id.clone(),
        description: event_type.settings.description,
        create_time: Some(timestamp(event_type.created)),
        update_time: Some(timestamp(event_type.updated)),
    }
}
