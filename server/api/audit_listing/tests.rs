use super::*;
use crate::{
    fixture::{Fixture, twins},
    store::execute,
};

/// The tenant of the entries that are copied, and the method of them.
const TENANT: &str = "default";
const METHOD: &str = "CreateEndpoint";

impl Fixture {
    /// Writes `count` entries of one time, whose request ids are `request_id`, and whose rows follow that of `first`.
    async fn entries(&self, first: i64, count: i64, method: &'static str, request_id: &'static str) {
        let sql = "INSERT INTO audit_entry (key, time, actor, caller, tenant, method, resources, resource_count, fields, \
                   remote, request_id) \
                   WITH RECURSIVE n (n) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT n + 1 FROM n WHERE n < $2) \
                   SELECT n, 1000000, 3, '', $3, $4, '[]', 0, '[]', '', $5 FROM n";
        let write = self.shared.db.write(move |tx| {
            Box::pin(async move {
                execute!(tx.conn(), sql, first, first + count - 1, TENANT, method, request_id)?;
                tx.commit().await
            })
        });
        write.await.unwrap();
    }

    async fn audit_page(&self, filter: &AuditFilter, after: AuditPosition, size: usize) -> Page {
        let query = Query { filter: filter.clone(), after, size };
        self.shared.db.read(move |conn| Box::pin(async move { query.run(conn).await })).await.unwrap()
    }

    /// Reads all that a filter selects: its rows, and how many rows were looked at for each page.
    async fn audit_pages(&self, filter: &AuditFilter, size: usize) -> (Vec<i64>, Vec<usize>) {
        let (mut keys, mut scanned, mut after) = (Vec::new(), Vec::new(), AuditPosition::start(None));
        loop {
            let page = self.audit_page(filter, after, size).await;
            assert!(page.entries.len() <= size && page.scanned <= ROWS_SCANNED_MAX, "{}", page.scanned);
            keys.extend(page.entries.iter().map(|entry| entry.key));
            scanned.push(page.scanned);
            match page.next {
                Some(next) => after = next,
                None => return (keys, scanned),
            }
        }
    }
}

fn of_tenant(method: &str) -> AuditFilter {
    // The tenant is what is looked up; the method is looked at row by row.
    AuditFilter { tenant: Some(TENANT.to_owned()), method: Some(method.to_owned()), ..AuditFilter::default() }
}

#[tokio::test]
async fn one_among_many_is_found_in_bounded_steps() {
    let fixture = Fixture::new().await;
    fixture.entries(1, 1, "DeleteEndpoint", "").await;
    fixture.entries(2, 24_999, METHOD, "").await;
    let (found, scanned) = fixture.audit_pages(&of_tenant("DeleteEndpoint"), 50).await;
    assert_eq!((found, scanned), (vec![1], vec![10_000, 10_000, 5_000]));
    // A page that ends at the last row says so.
    fixture.entries(25_001, 5_000, METHOD, "").await;
    let (found, scanned) = fixture.audit_pages(&of_tenant("RevokeKey"), 50).await;
    assert_eq!((found, scanned), (vec![], vec![10_000; 3]));
}

#[tokio::test]
async fn long_entries_make_short_pages() {
    // As much as a call can leave: 16 names of 128 bytes, and its own id.
    const ENTRY_BYTES: usize = 2 * 1024;
    let fixture = Fixture::new().await;
    fixture.entries(1, 2_500, METHOD, "x".repeat(ENTRY_BYTES).leak()).await;
    let everything = AuditFilter::default();
    let page = fixture.audit_page(&everything, AuditPosition::start(None), 100_000).await;
    assert_eq!(page.entries.len(), BYTES_SHOWN_MAX.div_ceil(ENTRY_BYTES + TENANT.len()));
    assert!(page.bytes_shown < BYTES_SHOWN_MAX + ENTRY_BYTES + TENANT.len(), "{}", page.bytes_shown);
    assert_eq!(page.next.map(|AuditPosition(_, key)| key), page.entries.last().map(|entry| entry.key));
    // Nothing is missing and nothing comes twice, for pages of any size.
    let all: Vec<i64> = (1..=2_500).rev().collect();
    for size in [7, 999, 1_000, 100_000] {
        let (keys, _) = fixture.audit_pages(&everything, size).await;
        assert_eq!(keys, all, "{size}");
    }
    // What is passed over is not counted.
    assert_eq!(fixture.audit_pages(&of_tenant("RevokeKey"), 50).await, (vec![], vec![2_500]));
}

twins!("tests.rs", [one_among_many_is_found_in_bounded_steps, long_entries_make_short_pages]);
