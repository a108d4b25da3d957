use crate::report::{
    figures::Figures,
    results::{Database, Machine, Measured, Results},
};

fn measured(scenario: &str, revision: &str, rates: &[f64]) -> Measured {
    Measured {
        scenario: scenario.to_owned(),
        database: Database::Sqlite,
        revision: revision.to_owned(),
        runs: rates.iter().map(|rate| Figures::from([("rate", *rate)])).collect(),
    }
}

#[test]
fn newer_runs_stand_instead_of_older_ones_unless_they_are_added() {
    let mut results = Results::default();
    results.take(measured("1:1", "a", &[1.0]), false);
    results.take(measured("1:10", "a", &[7.0]), false);
    results.take(measured("1:1", "a", &[2.0, 3.0]), true);
    assert_eq!(results.median("1:1", Database::Sqlite, "rate"), Some(2.0));
    results.take(measured("1:1", "a", &[9.0]), false);
    assert_eq!(results.median("1:1", Database::Sqlite, "rate"), Some(9.0));
    results.take(measured("1:1", "b", &[4.0]), true);
    assert_eq!(results.median("1:1", Database::Sqlite, "rate"), Some(4.0), "runs of two revisions do not mix");
    assert_eq!(results.median("1:10", Database::Sqlite, "rate"), Some(7.0), "the other is left alone");
    assert_eq!(results.median("1:10", Database::Postgres, "rate"), None);
    assert_eq!(results.median("1:10", Database::Sqlite, "other"), None);
}

#[test]
fn machines_differ_by_everything_but_a_postgres_that_one_does_not_know() {
    let machine = Machine { cores: 2, postgres: "15.1".to_owned(), ..Machine::default() };
    assert!(machine.is_same(&Machine { postgres: String::new(), ..machine.clone() }));
    assert!(!machine.is_same(&Machine { postgres: "16.0".to_owned(), ..machine.clone() }));
    assert!(!machine.is_same(&Machine { cores: 4, ..machine.clone() }));
    assert!(!machine.is_same(&Machine { kernel: "6.1".to_owned(), ..machine.clone() }));
}

#[test]
fn results_are_read_as_they_were_written() {
    let mut results = Results { machine: Machine { cores: 2, ..Machine::default() }, measured: Vec::new() };
    results.take(measured("1:1", "a", &[1.5, 2.0]), false);
    let text = serde_json::to_string(&results).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
}
