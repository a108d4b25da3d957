use crate::report::{
    check::{SCENARIOS, compare},
    figures::Figures,
    results::{Database, Machine, Measured, Results},
};

fn results(cores: u64, cpu: f64, of_baseline: f64, rate: f64) -> Results {
    let figures =
        Figures::from([("cpu_seconds_per_1000", cpu), ("cpu_of_baseline", of_baseline), ("rate_of_baseline", rate)]);
    let measured = |scenario: &str| Measured {
        scenario: scenario.to_owned(),
        database: Database::Sqlite,
        revision: String::new(),
        runs: vec![figures.clone()],
    };
    let machine = Machine { cores, ..Machine::default() };
    Results { machine, measured: SCENARIOS.into_iter().map(measured).collect() }
}

fn failed(before: &Results, after: &Results) -> Vec<String> {
    let verdicts = compare(before, after, Database::Sqlite).unwrap();
    verdicts.into_iter().filter(|verdict| !verdict.passed).map(|verdict| verdict.says).collect()
}

#[test]
fn figures_within_the_tolerance_pass_and_better_ones_do() {
    let before = results(2, 0.1, 2.0, 0.5);
    assert!(failed(&before, &before).is_empty());
    assert!(failed(&before, &results(2, 0.114, 2.48, 0.41)).is_empty());
    assert!(failed(&before, &results(2, 0.01, 0.2, 1.0)).is_empty());
}

#[test]
fn each_figure_that_is_worse_fails_by_its_name() {
    let before = results(2, 0.1, 2.0, 0.5);
    for (after, figure) in [
        (results(2, 0.116, 2.0, 0.5), "cpu_seconds_per_1000"),
        (results(2, 0.1, 2.52, 0.5), "cpu_of_baseline"),
        (results(2, 0.1, 2.0, 0.39), "rate_of_baseline"),
    ] {
        let failed = failed(&before, &after);
        assert_eq!(failed.len(), SCENARIOS.len());
        assert!(failed.iter().all(|says| says.contains(figure)), "{failed:?}");
    }
}

#[test]
fn seconds_of_another_machine_are_not_compared() {
    let before = results(2, 0.1, 2.0, 0.5);
    assert!(failed(&before, &results(8, 5.0, 2.0, 0.5)).is_empty());
    assert!(!failed(&before, &results(8, 0.1, 3.0, 0.5)).is_empty());
}

#[test]
fn what_was_not_measured_is_no_pass() {
    let before = results(2, 0.1, 2.0, 0.5);
    assert!(compare(&before, &Results::default(), Database::Sqlite).is_err());
    assert!(compare(&before, &before, Database::Postgres).is_err());
}
