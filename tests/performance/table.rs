use crate::report::{
    figures::Figures,
    results::{Database, Measured, Results},
    table::table,
};

fn results(database: Database, rates: &[f64]) -> Results {
    let runs = rates.iter().map(|rate| Figures::from([("deliveries_per_second", *rate)])).collect();
    let measured = Measured { scenario: "1:1".to_owned(), database, revision: String::new(), runs };
    Results { measured: vec![measured], ..Results::default() }
}

fn rows(results: &Results) -> Vec<String> {
    table(results).lines().skip(2).map(str::to_owned).collect()
}

const TITLE: &str = "1 event → 1 delivery, 64 publishers, full rate";

#[test]
fn row_shows_the_median_beside_its_target() {
    let shown = rows(&results(Database::Sqlite, &[13_000.0, 1.0, 12_500.0]));
    assert_eq!(shown, [format!("| {TITLE} | deliveries a second | 12,500/s | – | ≥ 12,000/s |")]);
}

#[test]
fn missed_target_is_said_and_what_was_not_measured_is_not_shown() {
    let shown = rows(&results(Database::Postgres, &[11_999.0]));
    assert_eq!(shown, [format!("| {TITLE} | deliveries a second | – | **11,999/s**, missed | ≥ 12,000/s |")]);
    assert!(rows(&Results::default()).is_empty());
}
