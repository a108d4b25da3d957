//! Listing the audit log: newest first, filtered in bounded steps.
//!
//! One condition of the filter is looked up by an index, the others are looked at here. A page looks at a bounded number of rows
//! and holds a bounded number of bytes; one that reaches a bound ends with what was found and a token to go on from.

use crate::{
    model::{AuditEntry, AuditFilter},
    store::{self, AuditPosition, Conn},
};

/// Rows that one page looks at, at most.
const ROWS_SCANNED_MAX: usize = 10_000;

/// Rows that one statement reads, at most.
const ROWS_PER_STATEMENT: usize = 500;

/// What the entries of one page may come to, in bytes: gRPC's clients take messages of up to 4 MiB.
const BYTES_SHOWN_MAX: usize = 2 * 1024 * 1024;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The entries, newest first.
    pub(super) entries: Vec<AuditEntry>,
    /// Where the next page begins, unless this is the last.
    pub(super) next: Option<AuditPosition>,
    scanned: usize,
    bytes_shown: usize,
}

/// What to look for.
#[derive(Debug)]
pub(super) struct Query {
    /// Which entries.
    pub(super) filter: AuditFilter,
    /// Where to begin.
    pub(super) after: AuditPosition,
    /// How many to find.
    pub(super) size: usize,
}

impl Query {
    /// Finds a page of entries.
    pub(super) async fn run(&self, conn: &mut Conn) -> store::Result<Page> {
        let rows_per_statement = ROWS_PER_STATEMENT.min(self.size + 1);
        let limit = i64::try_from(rows_per_statement).unwrap_or(i64::MAX);
        let (mut page, mut after) = (Page::default(), self.after);
        loop {
            let rows = store::audit::list(conn, &self.filter, after, limit).await?;
            let last = rows.len() < rows_per_statement;
            let mut rows = rows.into_iter();
            while let Some(entry) = rows.next() {
                after = AuditPosition(entry.time, entry.key);
                page.take(entry, &self.filter);
                if page.is_full(self.size) {
                    let more = rows.len() > 0 || !store::audit::list(conn, &self.filter, after, 1).await?.is_empty();
                    page.next = more.then_some(after);
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
    fn take(&mut self, entry: AuditEntry, filter: &AuditFilter) {
        self.scanned += 1;
        if filter.selects(&entry) {
            let texts = entry.resources.iter().chain(&entry.fields).chain([&entry.tenant, &entry.request_id]);
            self.bytes_shown += texts.map(String::len).sum::<usize>();
            self.entries.push(entry);
        }
    }

    fn is_full(&self, size: usize) -> bool {
        self.entries.len() == size || self.scanned == ROWS_SCANNED_MAX || self.bytes_shown >= BYTES_SHOWN_MAX
    }
}

#[cfg(test)]
mod tests;
