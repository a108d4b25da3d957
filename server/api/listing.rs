//! Listing deliveries: newest event first, filtered in bounded steps.
//!
//! A page looks at a bounded number of rows whatever its filter selects, in a bounded number of statements. One that reaches
//! a bound ends with what was found and a token to go on from, so no call holds a reader for long. Where to look at all,
//! [`Stretch`] says: a filter by time is a range of events' keys within each era.

use std::collections::VecDeque;

use crate::{
    model::{DeliveryFilter, DeliveryKey, EndpointKey, EventKey, TenantKey},
    publish::Routes,
    store::{self, Conn, DeliveryRow, EraRange, Position},
};

/// What one page costs at most, but for what it has begun: a row that is looked at counts as one.
const COST_MAX: usize = 10_000;

/// For how many rows a statement counts.
const STATEMENT_COST: usize = 20;

/// Rows that one statement reads, at most: each may carry an answer of some kilobytes.
const ROWS_PER_STATEMENT: usize = 500;

/// What the search for the events of one era costs at most: 64 statements for each bound, of one row each.
const SEARCH_COST: usize = 128;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The deliveries, newest event first.
    pub(super) rows: Vec<DeliveryRow>,
    /// Where the next page begins, unless this is the last.
    pub(super) next: Option<DeliveryKey>,
    /// What it cost.
    pub(super) cost: usize,
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
        let events = self.events(conn).await?;
        let mut page = Page { cost: self.filter.event_ids.len() * STATEMENT_COST, ..Page::default() };
        let mut after = self.after;
        while let Some(stretch) = self.stretch(conn, after, &mut page).await? {
            let mut rows = Rows::new(&self.filter.endpoints, events.as_deref(), &stretch);
            while let Some(row) = rows.next(conn, &mut page.cost).await? {
                let key = row.key;
                if self.selects(&row, routes) {
                    page.rows.push(row);
                }
                if page.rows.len() == self.size || page.cost >= COST_MAX {
                    let more = rows.next(conn, &mut page.cost).await?.is_some() || stretch.is_followed(conn).await?;
                    page.next = more.then_some(key);
                    return Ok(page);
                }
            }
            let Some(older) = stretch.older else { break };
            after = older;
            if page.cost >= COST_MAX {
                page.next = Some(older.0);
                break;
            }
        }
        Ok(page)
    }

    /// The events that are asked for by their ids, as far as the tenant has them, newest first; `None` if any will do.
    async fn events(&self, conn: &mut Conn) -> store::Result<Option<Vec<EventKey>>> {
        if self.filter.event_ids.is_empty() {
            return Ok(None);
        }
        let mut keys = Vec::with_capacity(self.filter.event_ids.len());
        for id in &self.filter.event_ids {
            keys.extend(store::event::find(conn, self.tenant, id).await?);
        }
        keys.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Some(keys))
    }

    /// Where to look next after `after`; `None` if nothing is left. Events that are known by id are few enough to be looked
    /// at whenever they were published.
    async fn stretch(&self, conn: &mut Conn, after: Position, page: &mut Page) -> store::Result<Option<Stretch>> {
        let DeliveryFilter { start, end, .. } = self.filter;
        if start.is_none() && end.is_none() || !self.filter.event_ids.is_empty() {
            return Ok(Some(Stretch { after, oldest: EventKey(0), older: None }));
        }
        // Of the event that `after` names something may be left, unless it is the place before older ones.
        let DeliveryKey { event, endpoint } = after.0;
        let below = if endpoint == BEFORE_ALL { event } else { EventKey(event.0.saturating_add(1)) };
        let Some(newest) = store::event::newest_below(conn, below).await? else { return Ok(None) };
        let EraRange { first, low, high } = store::event_era::range(conn, newest, start, end).await?;
        page.cost += SEARCH_COST;
        let after = if high <= after.0.event { before(high) } else { after };
        Ok(Some(Stretch { after, oldest: low, older: Some(before(first)) }))
    }

    fn selects(&self, row: &DeliveryRow, routes: &Routes) -> bool {
        let filter = &self.filter;
        row.tenant == self.tenant
            && (filter.endpoints.is_empty() || filter.endpoints.contains(&row.key.endpoint))
            && filter.event_types.matches(&row.event_type)
            && (filter.failures.is_empty() || row.kind.is_some_and(|kind| filter.failures.contains(&kind)))
            && filter.start.is_none_or(|start| row.created >= start)
            && filter.end.is_none_or(|end| row.created < end)
            && (self.filter.states.is_empty()
                || self.filter.states.contains(&row.shown_state(routes.standing(row.key.endpoint))))
    }
}

/// Less than every endpoint's key.
const BEFORE_ALL: EndpointKey = EndpointKey(0);

/// The place before the deliveries of the events that are older than `event`.
fn before(event: EventKey) -> Position {
    Position(DeliveryKey { event, endpoint: BEFORE_ALL })
}

/// A part of the list that is read in one go: all of it, or one era of it.
struct Stretch {
    after: Position,
    oldest: EventKey,
    /// Where the next one begins, if there may be one.
    older: Option<Position>,
}

impl Stretch {
    /// Whether there are events of older eras.
    async fn is_followed(&self, conn: &mut Conn) -> store::Result<bool> {
        match self.older {
            Some(older) => Ok(store::event::newest_below(conn, older.0.event).await?.is_some()),
            None => Ok(false),
        }
    }
}

/// All deliveries of a stretch, or those of some endpoints or events, newest event first.
struct Rows {
    /// Those of endpoints are merged; those of events follow one another.
    sources: Vec<Source>,
    merged: bool,
}

/// Which deliveries a source has.
#[derive(Clone, Copy)]
enum Of {
    All,
    Endpoint(EndpointKey),
    Event(EventKey),
}

/// A part of the deliveries, in order, read ahead a little.
struct Source {
    of: Of,
    after: Position,
    oldest: EventKey,
    ahead: VecDeque<DeliveryRow>,
    rows_per_read: usize,
    ended: bool,
}

impl Rows {
    /// The deliveries of `events`, which come newest first, if they are given.
    fn new(endpoints: &[EndpointKey], events: Option<&[EventKey]>, stretch: &Stretch) -> Self {
        let Stretch { after, oldest, .. } = *stretch;
        let source = |of, rows_per_read| Source {
            of,
            after,
            oldest,
            ahead: VecDeque::new(),
            rows_per_read,
            ended: after.0.event < oldest,
        };
        let sources = match (events, endpoints) {
            // The last of them is the next to be read.
            (Some(events), _) => events.iter().rev().map(|key| source(Of::Event(*key), ROWS_PER_STATEMENT)).collect(),
            (None, []) => vec![source(Of::All, ROWS_PER_STATEMENT)],
            (None, endpoints) => {
                // All sources together read no further ahead than one would.
                let rows_per_read = ROWS_PER_STATEMENT.div_ceil(endpoints.len());
                endpoints.iter().map(|key| source(Of::Endpoint(*key), rows_per_read)).collect()
            }
        };
        Self { sources, merged: events.is_none() }
    }

    async fn next(&mut self, conn: &mut Conn, cost: &mut usize) -> store::Result<Option<DeliveryRow>> {
        *cost += 1;
        if self.merged {
            for source in &mut self.sources {
                source.refill(conn, cost).await?;
            }
            let newest = self.sources.iter_mut().max_by_key(|source| source.ahead.front().map(|row| row.key));
            return Ok(newest.and_then(|source| source.ahead.pop_front()));
        }
        while let Some(source) = self.sources.last_mut() {
            source.refill(conn, cost).await?;
            if let Some(row) = source.ahead.pop_front() {
                return Ok(Some(row));
            }
            self.sources.pop();
        }
        Ok(None)
    }
}

impl Source {
    async fn refill(&mut self, conn: &mut Conn, cost: &mut usize) -> store::Result<()> {
        if self.ended || !self.ahead.is_empty() {
            return Ok(());
        }
        *cost += STATEMENT_COST;
        let limit = i64::try_from(self.rows_per_read).unwrap_or(i64::MAX);
        let (after, oldest) = (self.after, self.oldest);
        let rows = match self.of {
            Of::All => store::delivery::page(conn, after, oldest, limit).await?,
            Of::Endpoint(endpoint) => store::delivery::page_of_endpoint(conn, endpoint, after, oldest, limit).await?,
            Of::Event(event) => store::delivery::page_of_event(conn, event, after, limit).await?,
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
mod pages;
#[cfg(test)]
mod tests;
