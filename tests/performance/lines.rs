use crate::report::lines::{
    SECTIONS,
    Target::{self, AtLeast, AtMost},
    Unit,
};

#[test]
fn figures_are_written_with_their_units() {
    for (unit, value, shown) in [
        (Unit::Share, 0.4567, "46 %"),
        (Unit::Times, 2.0, "2 ×"),
        (Unit::Times, 1.254, "1.25 ×"),
        (Unit::PerSecond, 12_345.6, "12,346/s"),
        (Unit::Seconds, 0.25, "0.25 s"),
        (Unit::Milliseconds, 1234.5, "1,234 ms"),
        (Unit::Milliseconds, 0.0, "0 ms"),
        (Unit::Mebibytes, 20.04, "20 MiB"),
        (Unit::Mebibytes, 20.06, "20.1 MiB"),
        (Unit::CpuSeconds, 0.0954, "0.095 s"),
        (Unit::Number, 1_000_000.0, "1,000,000"),
        (Unit::Number, 999.0, "999"),
    ] {
        assert_eq!(unit.shown(value), shown);
    }
}

#[test]
fn targets_include_their_bounds() {
    assert!(AtLeast(2.0).is_met(2.0) && !AtLeast(2.0).is_met(1.99));
    assert!(AtMost(2.0).is_met(2.0) && !AtMost(2.0).is_met(2.01));
    assert!(Target::None.is_met(f64::MAX));
    assert_eq!(AtLeast(12_000.0).shown(Unit::PerSecond), "≥ 12,000/s");
    assert_eq!(AtMost(0.1).shown(Unit::CpuSeconds), "≤ 0.1 s");
    assert_eq!((AtMost(0.0).shown(Unit::Number), Target::None.shown(Unit::Number)), ("0".to_owned(), String::new()));
}

#[test]
fn scenarios_and_their_figures_are_named_once() {
    for (index, section) in SECTIONS.iter().enumerate() {
        assert!(SECTIONS[..index].iter().all(|other| other.scenario != section.scenario), "{}", section.scenario);
        for (index, line) in section.lines.iter().enumerate() {
            assert!(section.lines[..index].iter().all(|other| other.figure != line.figure), "{}", line.figure);
        }
    }
}
