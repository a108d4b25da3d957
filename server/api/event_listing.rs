//! Finding a page of events: newest first, filtered in bounded steps.
//!
//! Keys rise in the order of commits, so a list goes down the keys. Within an era the times of publication rise with them,
//! so a range of time is a range of keys, found by binary search; of an era that lies outside of it no event is read. A page
//! looks at a bounded number of events whatever its filter selects, and holds a bounded number of bytes.

use crate::{
    model::{Event, EventFilter, EventKey, TenantKey},
    store::{self, Conn, EraRange},
};

/// What one page looks at, at most: events.
const EVENTS_SCANNED_MAX: usize = 10_000;

/// For how many events a binary search counts: so many statements it takes at most.
const SEARCH_COST: usize = 64;

/// Events that one statement reads: each may have 72 KiB of labels.
const EVENTS_PER_STATEMENT: usize = 100;

/// Ids, types and labels that a page holds before it is cut short: clients take messages of 4 MiB.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The events, newest first, without payloads.
    pub(super) events: Vec<Event>,
    /// The next page begins below it, unless this is the last.
    pub(super) next: Option<EventKey>,
}

/// What to look for.
#[derive(Debug)]
pub(super) struct Query {
    /// Whose events.
    pub(super) tenant: TenantKey,
    /// Which of them.
    pub(super) filter: EventFilter,
    /// Only those below it.
    pub(super) below: EventKey,
    /// How many to find.
    pub(super) size: usize,
}

/// A page in the making.
#[derive(Debug, Default)]
struct Gathered {
    events: Vec<Event>,
    bytes: usize,
    scanned: usize,
}

impl Query {
    /// Finds a page of events.
    pub(super) async fn run(&self, conn: &mut Conn) -> store::Result<Page> {
        let mut gathered = Gathered::default();
        let mut below = self.below;
        loop {
            let Some(newest) = store::event::newest_below(conn, below).await? else {
                return Ok(Page { events: gathered.events, next: None });
            };
            let EraRange { first: era, low, high } = self.range_of_era(conn, newest, &mut gathered).await?;
            if let Some(next) = self.gather(conn, low, high, &mut gathered).await? {
                let more = store::event::newest_below(conn, next).await?.is_some_and(|key| key >= low)
                    || store::event::newest_below(conn, era).await?.is_some();
                return Ok(Page { events: gathered.events, next: more.then_some(next) });
            }
            below = era;
            if gathered.is_full(self.size) {
                return Ok(Page { events: gathered.events, next: Some(below) });
            }
        }
    }

    /// Where the era of the event `newest` begins, and the keys of it, up to that event, whose times are wanted.
    async fn range_of_era(
        &self,
        conn: &mut Conn,
        newest: EventKey,
        gathered: &mut Gathered,
    ) -> store::Result<EraRange> {
        let EventFilter { start, end, .. } = self.filter;
        if start.is_none() && end.is_none() {
            let high = EventKey(newest.0.saturating_add(1));
            return Ok(EraRange { first: EventKey(0), low: EventKey(0), high });
        }
        gathered.scanned += SEARCH_COST * (usize::from(start.is_some()) + usize::from(end.is_some()));
        store::event_era::range(conn, newest, start, end).await
    }

    /// Looks through `low..high`, newest first. Returns the last event that was looked at if the page is full by then.
    async fn gather(
        &self,
        conn: &mut Conn,
        low: EventKey,
        mut high: EventKey,
        gathered: &mut Gathered,
    ) -> store::Result<Option<EventKey>> {
        let limit = i64::try_from(EVENTS_PER_STATEMENT).unwrap_or(i64::MAX);
        while low < high {
            let events = store::event::page(conn, self.tenant, low, high, limit).await?;
            let last = events.len() < EVENTS_PER_STATEMENT;
            for event in events {
                high = event.content.key;
                gathered.scanned += 1;
                if event.content.tenant == self.tenant && self.filter.selects(&event) {
                    gathered.push(event);
                }
                if gathered.is_full(self.size) {
                    return Ok(Some(high));
                }
            }
            if last {
                break;
            }
        }
        Ok(None)
    }
}

impl Gathered {
    fn push(&mut self, event: Event) {
        let labels: usize = event.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.bytes += event.content.id.len() + event.content.event_type.len() + labels;
        self.events.push(event);
    }

    fn is_full(&self, size: usize) -> bool {
        self.events.len() >= size || self.bytes >= PAGE_BYTES_MAX || self.scanned >= EVENTS_SCANNED_MAX
    }
}

#[cfg(test)]
mod tests;
