//! Listing endpoints: oldest first, filtered in bounded steps.
//!
//! A page looks at a bounded number of rows and bytes whatever its filter selects, and one that reaches a bound ends
//! with what was found and a token to go on from. Of an endpoint that is passed over no more is read than what the
//! filter asks for.

use std::collections::BTreeMap;

use super::{events::check_type, labels::check_labels, show::endpoint_state, violation::Violations};
use crate::{
    model::{Endpoint, EndpointKey, EndpointStatus, TenantKey},
    proto::{self, EndpointState},
    store::{self, Conn, ListedEndpoint},
};

/// Rows that one page looks at, at most.
const ROWS_SCANNED_MAX: usize = 10_000;

/// Rows that one statement reads, at most: each may carry settings and labels of some hundred kilobytes.
const ROWS_PER_STATEMENT: usize = 200;

/// What the rows that one page looks at may come to, in bytes.
const BYTES_SCANNED_MAX: usize = 16 * 1024 * 1024;

/// What the endpoints of one page may come to, in bytes of their settings: gRPC's clients take messages of up to 4 MiB.
const BYTES_SHOWN_MAX: usize = 2 * 1024 * 1024;

/// The longest host name, in bytes (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// Which endpoints to list.
#[derive(Clone, Debug, Default)]
pub(super) struct EndpointFilter {
    labels: BTreeMap<String, String>,
    states: Vec<EndpointState>,
    event_type: Option<String>,
    /// In canonical form.
    host: Option<String>,
}

impl EndpointFilter {
    /// Reads the field `filter`.
    pub(super) fn read(filter: Option<&proto::EndpointFilter>, violations: &mut Violations) -> Self {
        let Some(filter) = filter else { return Self::default() };
        check_labels(&filter.labels, "filter.labels", violations);
        let mut states = Vec::new();
        for (index, number) in filter.states.iter().enumerate() {
            let state = violations.take(&format!("filter.states[{index}]"), read_state(*number));
            states.extend(state.filter(|state| !states.contains(state)));
        }
        if !filter.event_type.is_empty() {
            violations.take("filter.event_type", check_type(&filter.event_type));
        }
        let host = (!filter.url_host.is_empty()).then(|| read_host(&filter.url_host));
        Self {
            labels: filter.labels.clone(),
            states,
            event_type: Some(filter.event_type.clone()).filter(|wanted| !wanted.is_empty()),
            host: host.and_then(|host| violations.take("filter.url_host", host)),
        }
    }

    fn selects(&self, endpoint: &ListedEndpoint) -> store::Result<bool> {
        let status = endpoint.status()?;
        if status == EndpointStatus::Deleted {
            return Ok(false);
        }
        if !self.states.is_empty() && !self.states.contains(&endpoint_state(status)) {
            return Ok(false);
        }
        if let Some(host) = &self.host {
            let url = url::Url::parse(endpoint.url()).ok();
            if url.as_ref().and_then(url::Url::host_str) != Some(host) {
                return Ok(false);
            }
        }
        if let Some(event_type) = &self.event_type
            && !endpoint.filter()?.matches(event_type)
        {
            return Ok(false);
        }
        if self.labels.is_empty() {
            return Ok(true);
        }
        let labels = endpoint.labels()?;
        Ok(self.labels.iter().all(|(key, value)| labels.get(key) == Some(value)))
    }
}

fn read_state(number: i32) -> Result<EndpointState, &'static str> {
    match EndpointState::try_from(number) {
        Ok(EndpointState::Unspecified) | Err(_) => {
            Err("must be a state of EndpointState other than ENDPOINT_STATE_UNSPECIFIED")
        }
        Ok(state) => Ok(state),
    }
}

/// A host as canonical URLs have it.
fn read_host(host: &str) -> Result<String, String> {
    if host.len() > HOST_BYTES_MAX {
        return Err(format!("must be at most {HOST_BYTES_MAX} bytes; it has {}", host.len()));
    }
    let host = url::Host::parse(host)
        .map_err(|_| "must be a host name such as `hooks.example.com` or an address, without scheme, port or path")?;
    Ok(host.to_string())
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The endpoints, oldest first.
    pub(super) endpoints: Vec<Endpoint>,
    /// Where the next page begins, unless this is the last.
    pub(super) next: Option<EndpointKey>,
    /// How many rows were looked at.
    scanned: usize,
    bytes_scanned: usize,
    bytes_shown: usize,
}

/// What to look for.
#[derive(Debug)]
pub(super) struct Query {
    /// Whose endpoints.
    pub(super) tenant: TenantKey,
    /// Which of them.
    pub(super) filter: EndpointFilter,
    /// Where to begin.
    pub(super) after: i64,
    /// How many to find.
    pub(super) size: usize,
}

impl Query {
    /// Finds a page of endpoints.
    pub(super) async fn run(&self, conn: &mut Conn) -> store::Result<Page> {
        let limit = i64::try_from(ROWS_PER_STATEMENT).unwrap_or(i64::MAX);
        let (mut page, mut after) = (Page::default(), self.after);
        loop {
            let rows = store::endpoint::list(conn, self.tenant, after, limit).await?;
            let last = rows.len() < ROWS_PER_STATEMENT;
            let mut rows = rows.into_iter();
            while let Some(row) = rows.next() {
                let key = row.key();
                after = key.0;
                page.take(row, &self.filter)?;
                if page.is_full(self.size) {
                    let more = rows.len() > 0 || !store::endpoint::list(conn, self.tenant, after, 1).await?.is_empty();
                    page.next = more.then_some(key);
                    return Ok(page);
                }
            }
            if last {
                return Ok(page);
            }
        }
    }
}

impl Page {
    fn take(&mut self, row: ListedEndpoint, filter: &EndpointFilter) -> store::Result<()> {
        let bytes = row.text_bytes();
        self.scanned += 1;
        self.bytes_scanned += bytes;
        if filter.selects(&row)? {
            self.bytes_shown += bytes;
            self.endpoints.push(row.read()?);
        }
        Ok(())
    }

    fn is_full(&self, size: usize) -> bool {
        self.endpoints.len() == size
            || self.scanned == ROWS_SCANNED_MAX
            || self.bytes_scanned >= BYTES_SCANNED_MAX
            || self.bytes_shown >= BYTES_SHOWN_MAX
    }
}

#[cfg(test)]
mod tests;
