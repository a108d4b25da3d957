//! Labels, which callers put on what is theirs: the same rules wherever they stand.

use std::collections::BTreeMap;

use super::violation::{Violations, check_text, echo};

/// Labels of one thing, at most.
const LABELS_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 128;
const VALUE_BYTES_MAX: usize = 1_024;

/// Notes what is wrong with the labels at `field`. They come sorted, so that the same request is refused in the same
/// words.
pub(super) fn check_labels(labels: &BTreeMap<String, String>, field: &str, violations: &mut Violations) {
    if labels.len() > LABELS_MAX {
        violations.add(field, format!("must have at most {LABELS_MAX} entries; it has {}", labels.len()));
    }
    for (key, value) in labels.iter().take(LABELS_MAX) {
        let field = format!("{field}[\"{}\"]", echo(key));
        if key.is_empty() {
            violations.add(field.as_str(), format!("has an empty key; keys have 1 to {KEY_BYTES_MAX} bytes"));
        }
        let problem = check_text(key, KEY_BYTES_MAX).map_err(|problem| format!("has a key that {problem}"));
        violations.take(&field, problem);
        violations.take(&field, check_text(value, VALUE_BYTES_MAX));
    }
}
