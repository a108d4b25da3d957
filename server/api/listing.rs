//! Listing deliveries: newest event first, filtered in bounded steps.
//!
//! A page looks at a bounded number of rows whatever its filter selects. One that reaches the bound ends with what was
//! found and a token to go on from, so no call holds a reader for long.

use std::collections::VecDeque;

use crate::{
    model::{DeliveryFilter, DeliveryKey, EndpointKey, TenantKey},
    publish::Routes,
    store::{self, Conn, DeliveryRow, Position},
};

/// Rows that one page looks at, at most.
const ROWS_SCANNED_MAX: usize = 10_000;

/// Rows that one statement reads, at most: each may carry an answer of some kilobytes.
const ROWS_PER_STATEMENT: usize = 500;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The deliveries, newest event first.
    pub(super) rows: Vec<DeliveryRow>,
    /// Where the next page begins, unless this is the last.
    pub(super) next: Option<DeliveryKey>,
}

/// What to look for.
#[derive(Debug)]
pub(super) struct Query {
    /// Whose deliveries.
    pub(super) tenant: TenantKey,
    /// Which of them.
    pub(super) filter: DeliveryFilter,
    /// Where to begin.
    pub(super) after: Position,
    /// How many to find.
    pub(super) size: usize,
}

impl Query {
    /// Finds a page of deliveries.
    pub(super) async fn run(&self, conn: &mut Conn, routes: &Routes) -> store::Result<Page> {
        let mut rows = Rows::new(&self.filter.endpoints, self.after);
        let mut page = Page::default();
        let mut scanned = 0;
        while let Some(row) = rows.next(conn).await? {
            scanned += 1;
            let key = row.key;
            if self.selects(&row, routes) {
                page.rows.push(row);
            }
            if page.rows.len() == self.size || scanned == ROWS_SCANNED_MAX {
                page.next = rows.next(conn).await?.map(|_| key);
                break;
            }
        }
        Ok(page)
    }

    fn selects(&self, row: &DeliveryRow, routes: &Routes) -> bool {
        row.tenant == self.tenant
            && self.filter.event_types.matches(&row.event_type)
            && (self.filter.states.is_empty()
                || self.filter.states.contains(&row.shown_state(routes.standing(row.key.endpoint))))
    }
}

/// All deliveries, or those of some endpoints, newest event first.
struct Rows {
    sources: Vec<Source>,
}

/// A part of the deliveries, in order, read ahead a little.
struct Source {
    endpoint: Option<EndpointKey>,
    after: Position,
    ahead: VecDeque<DeliveryRow>,
    rows_per_read: usize,
    ended: bool,
}

impl Rows {
    fn new(endpoints: &[EndpointKey], after: Position) -> Self {
        let source =
            |endpoint, rows_per_read| Source { endpoint, after, ahead: VecDeque::new(), rows_per_read, ended: false };
        if endpoints.is_empty() {
            return Self { sources: vec![source(None, ROWS_PER_STATEMENT)] };
        }
        // All sources together read no further ahead than one would.
        let rows_per_read = ROWS_PER_STATEMENT.div_ceil(endpoints.len());
        Self { sources: endpoints.iter().map(|endpoint| source(Some(*endpoint), rows_per_read)).collect() }
    }

    async fn next(&mut self, conn: &mut Conn) -> store::Result<Option<DeliveryRow>> {
        for source in &mut self.sources {
            source.refill(conn).await?;
        }
        let newest = self.sources.iter_mut().max_by_key(|source| source.ahead.front().map(|row| row.key));
        Ok(newest.and_then(|source| source.ahead.pop_front()))
    }
}

impl Source {
    async fn refill(&mut self, conn: &mut Conn) -> store::Result<()> {
        if self.ended || !self.ahead.is_empty() {
            return Ok(());
        }
        let limit = i64::try_from(self.rows_per_read).unwrap_or(i64::MAX);
        let rows = match self.endpoint {
            Some(endpoint) => store::delivery::page_of_endpoint(conn, endpoint, self.after, limit).await?,
            None => store::delivery::page(conn, self.after, limit).await?,
        };
        self.ended = rows.len() < self.rows_per_read;
        if let Some(last) = rows.last() {
            self.after = Position(last.key);
        }
        self.ahead = rows.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
