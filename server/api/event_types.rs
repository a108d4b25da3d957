//! Event types: create, import, get, list, update, delete.

use super::{
    WebhookApi,
    endpoints::unreported,
    error::{Error, Resource},
    event_type_fields::{filter_bytes, read_event_type_filter},
    events::check_type,
    idempotent::Once,
    mask::EventTypeMask,
    page::{List, Scope, read_size},
    violation::Violations,
};
use crate::{
    configure::Imported,
    model::EventType,
    proto::{
        self, CreateEventTypeRequest, CreateEventTypeResponse, DeleteEventTypeRequest, DeleteEventTypeResponse,
        GetEventTypeRequest, GetEventTypeResponse, ImportEventTypesRequest, ImportEventTypesResponse,
        ListEventTypesRequest, ListEventTypesResponse, UpdateEventTypeRequest, UpdateEventTypeResponse,
    },
    store,
};

/// Event types of one import, at most: one transaction holds publishing up for as long as it lasts.
const IMPORT_MAX: usize = 1_000;

/// What schemas and descriptions of one page take at most, in bytes: clients take answers of up to 4 MiB by default.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

impl WebhookApi {
    pub(super) async fn create_event_type(
        &self,
        request: CreateEventTypeRequest,
        once: Once<CreateEventTypeRequest>,
    ) -> Result<CreateEventTypeResponse, Error> {
        let mut violations = once.violations();
        let Some(given) = request.event_type else {
            violations.add("event_type", "is required");
            return Err(Error::Invalid(violations));
        };
        let field = |_| "event_type".to_owned();
        let settings = self.read_event_types(once.tenant.key, vec![given], field, &mut violations).await?.pop();
        violations.check()?;
        let call = once.call(|api, tenant, created| CreateEventTypeResponse {
            event_type: Some(api.show_event_type(tenant, created)),
        })?;
        Ok(self.configurator.create_event_type(call, settings.ok_or_else(unreported)?).await?)
    }

    pub(super) async fn import_event_types(
        &self,
        request: ImportEventTypesRequest,
        once: Once<ImportEventTypesRequest>,
    ) -> Result<ImportEventTypesResponse, Error> {
        let mut violations = once.violations();
        let mut given = request.event_types;
        check_list(&given, &mut violations);
        given.truncate(IMPORT_MAX);
        let field = |index| format!("event_types[{index}]");
        let types = self.read_event_types(once.tenant.key, given, field, &mut violations).await?;
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
        Ok(GetEventTypeResponse { event_type: Some(self.show_event_type(&tenant, event_type)) })
    }

    pub(super) async fn list_event_types(
        &self,
        request: ListEventTypesRequest,
    ) -> Result<ListEventTypesResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let size = read_size(request.page_size, &mut violations);
        let filter = read_event_type_filter(request.filter, &mut violations);
        let bound = filter_bytes(&filter);
        let scope = Scope { key: &self.shared.keys.tokens, list: List::EventTypes, tenant: tenant.key, filter: &bound };
        let after = scope.read_name(&request.page_token, &mut violations).unwrap_or_default();
        violations.check()?;

        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let list = self.shared.db.read(move |conn| {
            Box::pin(async move { store::event_type::list(conn, tenant.key, &filter, &after, limit).await })
        });
        let mut types = list.await?;
        let fitting = fitting(&types).min(size);
        let more = types.len() > fitting;
        types.truncate(fitting);
        let next = types.last().filter(|_| more).map(|last| scope.write_name(&last.name));
        Ok(ListEventTypesResponse {
            event_types: types.into_iter().map(|event_type| self.show_event_type(&tenant, event_type)).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(super) async fn update_event_type(
        &self,
        request: UpdateEventTypeRequest,
        once: Once<UpdateEventTypeRequest>,
    ) -> Result<UpdateEventTypeResponse, Error> {
        let mut violations = once.violations();
        let mask = EventTypeMask::read(request.update_mask.as_ref(), &mut violations);
        let Some(given) = request.event_type else {
            violations.add("event_type", "is required");
            return Err(Error::Invalid(violations));
        };
        violations.take("event_type.name", check_type(&given.name));
        let patch = self.read_event_type_patch(once.tenant.key, &given, mask, &mut violations).await?;
        violations.check()?;
        let expected = (!given.etag.is_empty()).then_some(given.etag);
        let call = once.call(|api, tenant, updated| UpdateEventTypeResponse {
            event_type: Some(api.show_event_type(tenant, updated)),
        })?;
        Ok(self.configurator.update_event_type(call, given.name, expected, patch).await?)
    }

    pub(super) async fn delete_event_type(
        &self,
        request: DeleteEventTypeRequest,
        once: Once<DeleteEventTypeRequest>,
    ) -> Result<DeleteEventTypeResponse, Error> {
        let mut violations = once.violations();
        violations.take("name", check_type(&request.name));
        violations.check()?;
        let expected = (!request.etag.is_empty()).then_some(request.etag);
        let call = once.call(|_, _, ()| DeleteEventTypeResponse {})?;
        Ok(self.configurator.delete_event_type(call, request.name, expected).await?)
    }
}

/// Checks how long a list to import is. What is beyond the thousandth is not looked at but reported once.
fn check_list(types: &[proto::EventType], violations: &mut Violations) {
    match types.len() {
        0 => violations.add("event_types", format!("is required: 1 to {IMPORT_MAX} event types; it has 0")),
        1..=IMPORT_MAX => {}
        many => violations.add("event_types", format!("must have at most {IMPORT_MAX} entries; it has {many}")),
    }
}

/// How many of these fit on one page, one at least.
fn fitting(types: &[EventType]) -> usize {
    let mut bytes = 0;
    let fits = |event_type: &&EventType| {
        bytes += event_type.schema.len() + event_type.description.len();
        bytes <= PAGE_BYTES_MAX
    };
    types.iter().take_while(fits).count().max(1)
}
