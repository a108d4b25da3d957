use crate::report::{
    figures::Figures,
    page::fill,
    results::{Database, Machine, Measured, Results},
};

const PAGE: &str = "# Title\n\n<!-- generated: machine -->\nold\n<!-- end: machine -->\n\nProse.\n\n\
                    <!-- generated: table -->\n<!-- end: table -->\n\nMore.\n";

fn results() -> Results {
    let measured = |scenario: &str, runs| Measured {
        scenario: scenario.to_owned(),
        database: Database::Sqlite,
        revision: "abc".to_owned(),
        runs: vec![Figures::from([("memory_mib", 18.0)]); runs],
    };
    let machine = Machine { cores: 2, disk: "ext4".to_owned(), ..Machine::default() };
    Results { machine, measured: vec![measured("idle", 3), measured("kill", 1)] }
}

#[test]
fn only_what_stands_between_markers_is_replaced() {
    let page = fill(PAGE, &results()).unwrap();
    assert!(page.starts_with("# Title\n\n<!-- generated: machine -->\n\n| | |\n"), "{page}");
    assert!(page.contains("| disk | ext4 |\n") && page.contains("\nProse.\n") && page.ends_with("\nMore.\n"));
    assert!(page.contains("| an idle server | resident memory | 18 MiB |"), "{page}");
    assert!(page.contains("| measured on SQLite | runs of each scenario: 1 to 3; at abc |"), "{page}");
    assert!(!page.contains("old") && !page.contains("measured on Postgres"), "{page}");
    assert_eq!(fill(&page, &results()).unwrap(), page, "filling again changes nothing");
}

#[test]
fn page_without_a_marker_is_refused() {
    let missing = fill(&PAGE.replace("<!-- end: table -->", ""), &results()).unwrap_err();
    assert!(missing.to_string().contains("<!-- generated: table -->"), "{missing}");
    assert!(fill("", &results()).is_err());
}
