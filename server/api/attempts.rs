//! The attempts of a delivery: those that have a row, and the one that lives in the delivery's own.
//!
//! An attempt may carry 16 KiB of an answer, so a page is bounded in bytes as well as in number, and read in steps.

use super::{
    WebhookApi,
    error::{Error, Resource},
    page::{List, PAGE_BYTES_MAX, Place, Scope, read_size},
    violation::Violations,
};
use crate::{
    model::{Attempt, AttemptResult, DeliveryKey, DeliveryState, TenantKey},
    proto::{ListAttemptsRequest, ListAttemptsResponse},
    store::{self, Conn, DeliveryRow},
};

/// Attempts that one statement reads, at most.
const ROWS_PER_STATEMENT: usize = 100;

/// What an attempt takes in an answer beside its texts: two ids, two times and numbers, rounded up.
const FIXED_BYTES: usize = 256;

impl WebhookApi {
    pub(super) async fn list_attempts(&self, request: ListAttemptsRequest) -> Result<ListAttemptsResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let key = self.read_delivery_id(&request.delivery_id, &mut violations);
        let size = read_size(request.page_size, &mut violations);
        let scope = Scope {
            key: &self.shared.keys.tokens,
            list: List::Attempts,
            tenant: tenant.key,
            filter: request.delivery_id.as_bytes(),
        };
        let after = scope.read(&request.page_token, &mut violations).unwrap_or_default();
        violations.check()?;
        let key = key.ok_or(Error::NotFound(Resource::Delivery))?;

        let after = u32::try_from(after.0).unwrap_or(0);
        let read = self.shared.db.read(move |conn| Box::pin(read(conn, tenant.key, key, after, size)));
        let (attempts, more) = read.await?.ok_or(Error::NotFound(Resource::Delivery))?;
        let last = attempts.last().map(|attempt| Place(i64::from(attempt.number), 0));
        Ok(ListAttemptsResponse {
            attempts: attempts.into_iter().map(|attempt| self.show_attempt(attempt)).collect(),
            next_page_token: last.filter(|_| more).map(|last| scope.write(last)).unwrap_or_default(),
        })
    }
}

/// Up to `size` attempts after number `after`, or as many as an answer has room for, and whether more follow; `None` if there
/// is no such delivery.
async fn read(
    conn: &mut Conn,
    tenant: TenantKey,
    key: DeliveryKey,
    after: u32,
    size: usize,
) -> store::Result<Option<(Vec<Attempt>, bool)>> {
    let Some(row) = store::delivery::get(conn, tenant, key).await? else { return Ok(None) };
    let (mut page, mut bytes, mut reached) = (Vec::new(), 0, after);
    loop {
        let limit = ROWS_PER_STATEMENT.min(size + 1 - page.len());
        let attempts = from(conn, &row, reached, limit).await?;
        let last = attempts.len() < limit;
        for attempt in attempts {
            bytes += attempt.response.len() + attempt.detail.len() + FIXED_BYTES;
            if page.len() == size || (bytes > PAGE_BYTES_MAX && !page.is_empty()) {
                return Ok(Some((page, true)));
            }
            reached = attempt.number;
            page.push(attempt);
        }
        if last {
            return Ok(Some((page, false)));
        }
    }
}

/// Up to `limit` attempts of a delivery after number `after`, by rising number.
pub(super) async fn from(conn: &mut Conn, row: &DeliveryRow, after: u32, limit: usize) -> store::Result<Vec<Attempt>> {
    let mut attempts = store::attempt::list(conn, row.key, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    let reached = attempts.last().map_or(after, |last| last.number);
    if attempts.len() < limit && reached < row.attempt {
        attempts.extend(without_row(row));
    }
    Ok(attempts)
}

/// The latest attempt of a delivery as the delivery's row has it: it is in flight, or succeeded with an answer small
/// enough for that row. Every other attempt has a row of its own, or was lost before its request began.
fn without_row(row: &DeliveryRow) -> Option<Attempt> {
    let in_flight = Attempt {
        delivery: row.key,
        number: row.attempt,
        result: AttemptResult::InFlight,
        failure: None,
        http_status: None,
        latency: None,
        ended: None,
        response: bytes::Bytes::new(),
        response_truncated: false,
        detail: String::new(),
        body_note: None,
    };
    match row.state {
        DeliveryState::InFlight => Some(in_flight),
        DeliveryState::Delivered => Some(Attempt {
            result: AttemptResult::Succeeded,
            http_status: (row.status != 0).then_some(row.status),
            latency: Some(row.latency),
            ended: Some(row.updated),
            response: row.response.clone().into(),
            ..in_flight
        }),
        DeliveryState::Pending | DeliveryState::Dead | DeliveryState::Cancelled => None,
    }
}

#[cfg(test)]
mod tests;
