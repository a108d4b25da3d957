//! Deliveries: get, list, retry, cancel.

use prost::Message as _;

use super::{
    WebhookApi,
    endpoints::unreported,
    error::{Error, Resource},
    filter::read_create_times,
    idempotent::Once,
    listing::{Page, Query},
    page::{List, Place, Scope, read_size},
    violation::Violations,
};
use crate::{
    model::{DeliveryFilter, DeliveryKey, EndpointKey, EventKey},
    proto::{
        CancelDeliveryRequest, CancelDeliveryResponse, CancelResult, GetDeliveryRequest, GetDeliveryResponse,
        ListDeliveriesRequest, ListDeliveriesResponse, RetryDeliveryRequest, RetryDeliveryResponse,
    },
    redrive::{self, Cancelled},
    store::{self, Position},
};

impl WebhookApi {
    pub(super) async fn get_delivery(&self, request: GetDeliveryRequest) -> Result<GetDeliveryResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let key = self.delivery_key(&request.delivery_id, Violations::default())?;
        let read = self.shared.db.read(move |conn| Box::pin(store::delivery::get(conn, tenant.key, key)));
        let row = read.await?.ok_or(Error::NotFound(Resource::Delivery))?;
        let shown = row.shown(self.shared.routes.standing(key.endpoint));
        Ok(GetDeliveryResponse { delivery: Some(self.show_delivery(&tenant, &shown)) })
    }

    pub(super) async fn list_deliveries(
        &self,
        request: ListDeliveriesRequest,
    ) -> Result<ListDeliveriesResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let size = read_size(request.page_size, &mut violations);
        let given = request.filter.unwrap_or_default();
        let (start, end) = read_create_times(&given, &mut violations);
        let filter = DeliveryFilter { start, end, ..self.read_filter(Some(&given), "filter", &mut violations) };
        let filter_bytes = given.encode_to_vec();
        let scope =
            Scope { key: &self.shared.keys.tokens, list: List::Deliveries, tenant: tenant.key, filter: &filter_bytes };
        let after = scope.read(&request.page_token, &mut violations);
        violations.check()?;
        self.own_endpoints(tenant.key, &filter.endpoints).await?;

        let after = after.map_or(Position::START, |Place(event, endpoint)| {
            Position(DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) })
        });
        let query = Query { tenant: tenant.key, filter, after, size };
        let shared = self.shared.clone();
        let read = self.shared.db.read(move |conn| Box::pin(async move { query.run(conn, &shared.routes).await }));
        let Page { rows, next, cost } = read.await?;
        tracing::debug!(found = rows.len(), cost, "page of deliveries");
        let deliveries = rows.iter().map(|row| {
            let shown = row.shown(self.shared.routes.standing(row.key.endpoint));
            self.show_delivery(&tenant, &shown)
        });
        Ok(ListDeliveriesResponse {
            deliveries: deliveries.collect(),
            next_page_token: next.map(|key| scope.write(Place(key.event.0, key.endpoint.0))).unwrap_or_default(),
        })
    }

    pub(super) async fn retry_delivery(
        &self,
        request: RetryDeliveryRequest,
        once: Once<RetryDeliveryRequest>,
    ) -> Result<RetryDeliveryResponse, Error> {
        let key = self.delivery_key(&request.delivery_id, once.violations())?;
        let call = once.call(|api, tenant, delivery| RetryDeliveryResponse {
            delivery: Some(api.show_delivery(tenant, &delivery)),
        })?;
        Ok(redrive::retry(&self.shared, call, key).await?)
    }

    pub(super) async fn cancel_delivery(
        &self,
        request: CancelDeliveryRequest,
        once: Once<CancelDeliveryRequest>,
    ) -> Result<CancelDeliveryResponse, Error> {
        let key = self.delivery_key(&request.delivery_id, once.violations())?;
        let call = once.call(|api, tenant, (cancelled, delivery)| {
            let result = match cancelled {
                Cancelled::Now => CancelResult::Cancelled,
                Cancelled::WithAttempt => CancelResult::CancelRequested,
            };
            CancelDeliveryResponse { result: result as i32, delivery: Some(api.show_delivery(tenant, &delivery)) }
        })?;
        Ok(redrive::cancel(&self.shared, call, key).await?)
    }

    /// Reads the field `delivery_id`.
    pub(super) fn read_delivery_id(&self, id: &str, violations: &mut Violations) -> Option<DeliveryKey> {
        if id.is_empty() {
            violations.add("delivery_id", "is required");
            return None;
        }
        violations.take("delivery_id", self.shared.ids.parse_delivery(id).map_err(|error| error.to_string()))
    }

    /// Reads the field `delivery_id` of a request that can have nothing else wrong than `violations`.
    fn delivery_key(&self, id: &str, mut violations: Violations) -> Result<DeliveryKey, Error> {
        let key = self.read_delivery_id(id, &mut violations);
        violations.check()?;
        key.ok_or_else(unreported)
    }
}
