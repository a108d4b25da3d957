use super::*;
use crate::{
    configure::NewEndpoint,
    fixture::{Fixture, OTHER_TENANT, TENANT, settings, twins},
    model::TypeFilter,
    store::execute,
};

impl Fixture {
    /// An endpoint with a label `number` of its own.
    async fn numbered(&self, number: usize) -> EndpointKey {
        let mut settings = settings();
        settings.labels = [("number".to_owned(), number.to_string()), ("a".to_owned(), "ä".to_owned())].into();
        settings.url = format!("https://host{}.example.com:8443/{number}", number % 3).parse().unwrap();
        let patterns = if number.is_multiple_of(2) { vec!["user.*".to_owned()] } else { Vec::new() };
        settings.filter = TypeFilter::parse(&patterns).unwrap();
        let new = NewEndpoint {
            settings,
            disabled: number.is_multiple_of(5),
            secrets: Vec::new(),
            headers: Vec::new(),
            credentials: Default::default(),
        };
        self.configurator.create_endpoint(TENANT, new).await.unwrap().0.key
    }

    async fn page(&self, filter: &EndpointFilter, after: i64, size: usize) -> Page {
        let query = Query { tenant: TENANT, filter: filter.clone(), after, size };
        self.shared.db.read(move |conn| Box::pin(async move { query.run(conn).await })).await.unwrap()
    }

    /// Reads page after page of `size`.
    async fn listed(&self, filter: &EndpointFilter, size: usize) -> Vec<EndpointKey> {
        let (mut keys, mut after) = (Vec::new(), 0);
        loop {
            let page = self.page(filter, after, size).await;
            assert!(page.endpoints.len() <= size);
            keys.extend(page.endpoints.iter().map(|endpoint| endpoint.key));
            match page.next {
                Some(key) => after = key.0,
                None => return keys,
            }
        }
    }

    /// Writes `count` copies of the endpoint `of`, bare rows that nobody routes to.
    async fn copies(&self, of: EndpointKey, count: i64, labels: &'static str) {
        let sql = "INSERT INTO endpoint (key, tenant, display_name, description, url, filter, policy, state, reason, \
                   since, generation, version, created, updated, style, header_names, labels) \
                   WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $1) \
                   SELECT 1000 + n, tenant, display_name, description, url, filter, policy, state, reason, since, \
                   generation, version, created, updated, style, header_names, $3 \
                   FROM n CROSS JOIN endpoint WHERE key = $2";
        let write = self.shared.db.write(move |tx| {
            Box::pin(async move {
                execute!(tx.conn(), sql, count, of.0, labels)?;
                tx.commit().await
            })
        });
        write.await.unwrap();
    }
}

fn filter(filter: proto::EndpointFilter) -> EndpointFilter {
    let mut violations = Violations::default();
    let read = EndpointFilter::read(Some(&filter), &mut violations);
    assert_eq!(violations, Violations::default());
    read
}

fn labelled(labels: &[(&str, &str)]) -> EndpointFilter {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    filter(proto::EndpointFilter { labels, ..Default::default() })
}

#[tokio::test]
async fn filters_select_by_labels_state_type_and_host() {
    let fixture = Fixture::new().await;
    let mut all = Vec::new();
    for number in 0..12 {
        all.push(fixture.numbered(number).await);
    }
    fixture.configurator.delete_endpoint(TENANT, all.remove(11), None).await.unwrap();
    fixture.configurator.pause_endpoint(TENANT, all[4], None).await.unwrap();
    let numbers = |wanted: fn(usize) -> bool| -> Vec<EndpointKey> {
        all.iter().enumerate().filter(|(number, _)| wanted(*number)).map(|(_, key)| *key).collect()
    };
    let none = proto::EndpointFilter::default;
    let cases = [
        (filter(none()), numbers(|_| true)),
        (labelled(&[("number", "7")]), numbers(|number| number == 7)),
        (labelled(&[("number", "7"), ("a", "ä")]), numbers(|number| number == 7)),
        (labelled(&[("number", "7"), ("a", "a")]), vec![]),
        (labelled(&[("number", "11")]), vec![]),
        (labelled(&[("b", "")]), vec![]),
        (filter(proto::EndpointFilter { states: vec![2], ..none() }), numbers(|number| number % 5 == 0)),
        (filter(proto::EndpointFilter { states: vec![3], ..none() }), numbers(|number| number == 4)),
        (filter(proto::EndpointFilter { states: vec![1], ..none() }), numbers(|n| n % 5 != 0 && n != 4)),
        (filter(proto::EndpointFilter { states: vec![1, 2, 1], ..none() }), numbers(|number| number != 4)),
        (filter(proto::EndpointFilter { states: vec![1, 2, 3], ..none() }), numbers(|_| true)),
        (filter(proto::EndpointFilter { event_type: "user.x".to_owned(), ..none() }), numbers(|_| true)),
        (filter(proto::EndpointFilter { event_type: "order.x".to_owned(), ..none() }), numbers(|n| n % 2 == 1)),
        (
            filter(proto::EndpointFilter { url_host: "HOST1.example.com".to_owned(), ..none() }),
            numbers(|number| number % 3 == 1),
        ),
        (filter(proto::EndpointFilter { url_host: "example.com".to_owned(), ..none() }), vec![]),
        (
            filter(proto::EndpointFilter {
                states: vec![1],
                event_type: "order.x".to_owned(),
                url_host: "host1.example.com".to_owned(),
                ..labels_of("a", "ä")
            }),
            numbers(|number| number == 1 || number == 7),
        ),
    ];
    for (filter, expected) in cases {
        for size in [1, 2, 11, 1_000] {
            assert_eq!(fixture.listed(&filter, size).await, expected, "{filter:?} by {size}");
        }
    }
}

fn labels_of(key: &str, value: &str) -> proto::EndpointFilter {
    proto::EndpointFilter { labels: [(key.to_owned(), value.to_owned())].into(), ..Default::default() }
}

#[tokio::test]
async fn one_among_many_is_found_in_bounded_steps() {
    const MANY: i64 = 25_000;
    let fixture = Fixture::new().await;
    let first = fixture.numbered(1).await;
    fixture.copies(first, MANY, "{}").await;
    let (mut found, mut pages, mut after) = (Vec::new(), 0, 0);
    loop {
        let page = fixture.page(&labelled(&[("number", "1")]), after, 50).await;
        assert!(page.scanned <= ROWS_SCANNED_MAX);
        pages += 1;
        found.extend(page.endpoints.iter().map(|endpoint| endpoint.key));
        let Some(next) = page.next else { break };
        after = next.0;
    }
    assert_eq!((found, pages), (vec![first], 3));

    let tombstones = fixture.shared.db.write(|tx| {
        Box::pin(async move {
            execute!(tx.conn(), "UPDATE endpoint SET state = 3 WHERE key > 1000")?;
            tx.commit().await
        })
    });
    tombstones.await.unwrap();
    let page = fixture.page(&EndpointFilter::default(), 0, 50).await;
    assert_eq!((page.endpoints.len(), page.scanned), (1, ROWS_SCANNED_MAX), "tombstones are steps too");
    assert_eq!(fixture.listed(&EndpointFilter::default(), 50).await, [first]);
    let nobody = Query { tenant: OTHER_TENANT, filter: EndpointFilter::default(), after: 0, size: 50 };
    let page = fixture.shared.db.read(move |conn| Box::pin(async move { nobody.run(conn).await })).await.unwrap();
    assert_eq!((page.scanned, page.next), (0, None), "another tenant has nothing to pass over");
}

#[tokio::test]
async fn long_settings_make_short_pages() {
    let fixture = Fixture::new().await;
    let first = fixture.numbered(1).await;
    let value = "x".repeat(1_024);
    let labels: BTreeMap<_, _> = (0..64).map(|number| (format!("{number:0128}"), value.as_str())).collect();
    let text: &'static str = serde_json::to_string(&labels).unwrap().leak();
    fixture.copies(first, 300, text).await;
    let page = fixture.page(&EndpointFilter::default(), 0, 1_000).await;
    assert!(page.next.is_some() && page.endpoints.len() > 10);
    assert!(page.bytes_shown < BYTES_SHOWN_MAX + text.len() + 1_024, "{}", page.bytes_shown);
    assert_eq!(fixture.listed(&EndpointFilter::default(), 1_000).await.len(), 301);
    let page = fixture.page(&labelled(&[("number", "2")]), 0, 1_000).await;
    assert!(page.next.is_some() && page.bytes_scanned < BYTES_SCANNED_MAX + text.len() + 1_024);
}

#[test]
fn what_is_wrong_with_a_filter_is_told_all_at_once() {
    let bad = proto::EndpointFilter {
        labels: [(String::new(), "a".to_owned()), ("k".to_owned(), "\0".to_owned())].into(),
        states: vec![1, 0, 999, -1],
        event_type: "user.*".to_owned(),
        url_host: "https://example.com/".to_owned(),
    };
    let mut violations = Violations::default();
    EndpointFilter::read(Some(&bad), &mut violations);
    let fields: Vec<String> = violations.into_shown().into_iter().map(|(field, _)| field).collect();
    let expected = [
        "filter.labels[\"\"]",
        "filter.labels[\"k\"]",
        "filter.states[1]",
        "filter.states[2]",
        "filter.states[3]",
        "filter.event_type",
        "filter.url_host",
    ];
    assert_eq!(fields, expected);
    for host in ["example.com:443", "a/b", "a b", "u@h", "[::1", &"a.".repeat(127)] {
        assert!(read_host(host).is_err(), "{host}");
    }
    let hosts = [
        ("Example.COM", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
    ];
    for (given, canonical) in hosts {
        assert_eq!(read_host(given).as_deref(), Ok(canonical));
    }
}

twins!(
    "tests.rs",
    [
        filters_select_by_labels_state_type_and_host,
        one_among_many_is_found_in_bounded_steps,
        long_settings_make_short_pages,
    ]
);
