use crate::report::{
    figures::Figures,
    plot::plot,
    results::{Database, Measured, Results},
};

fn results() -> Results {
    let measured = |database, share: f64| Measured {
        scenario: "1:1".to_owned(),
        database,
        revision: String::new(),
        runs: vec![Figures::from([
            ("deliveries_per_second", 30_000.0 * share),
            ("baseline_deliveries_per_second", 30_000.0),
            ("rate_of_baseline", share),
        ])],
    };
    let measured = vec![measured(Database::Sqlite, 0.5), measured(Database::Postgres, 0.25)];
    Results { measured, ..Results::default() }
}

#[test]
fn bars_are_as_long_as_their_share_of_the_baseline() {
    let plot = plot(&results());
    let widths: Vec<&str> = plot
        .lines()
        .filter_map(|line| line.strip_prefix("<rect ")?.split("width=\"").nth(1)?.split('"').next())
        .collect();
    assert_eq!(widths, ["400.0", "200.0", "100.0"]);
    assert!(plot.contains("15,000/s, SQLite, 50 %") && plot.contains("7,500/s, Postgres, 25 %"), "{plot}");
    assert!(plot.contains("30,000/s, baseline<"), "the baseline has no share of itself: {plot}");
}

#[test]
fn scenarios_without_figures_have_no_bar() {
    assert!(!plot(&results()).contains("HTTPS"));
    assert!(!plot(&Results::default()).contains("<rect"));
}

#[test]
fn every_class_of_bar_has_a_colour_for_light_and_for_dark() {
    let plot = plot(&Results::default());
    for class in ["baseline", "sqlite", "postgres"] {
        assert_eq!(plot.matches(&format!(".{class} {{ fill")).count(), 2, "{class}");
    }
}
