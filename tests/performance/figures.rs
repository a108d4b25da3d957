use crate::report::figures::{Figures, median};

#[test]
fn median_is_the_middle_whatever_the_order() {
    assert_eq!(median(vec![]), None);
    assert_eq!(median(vec![3.0]), Some(3.0));
    assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), Some(3.0));
}

#[test]
fn figure_that_is_no_number_is_missing() {
    let figures = Figures::from([("a", 0.123_456_7), ("b", f64::NAN), ("c", 1.0 / 0.0)]);
    assert_eq!((figures.get("a"), figures.get("b"), figures.get("c")), (Some(0.12346), None, None));
}
