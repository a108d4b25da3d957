//! Collecting everything that is wrong with a request before it is refused.

pub(super) use crate::model::echo;
use crate::proto::ErrorReason;

/// What the descriptions of one answer may take together, in bytes: a status travels in HTTP trailers, which gRPC's C and
/// Java clients accept up to 8 KiB of, in base64.
const VIOLATION_BYTES_MAX: usize = 4_096;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The field, in the protocol's terms: `endpoint.event_types[3]`.
    pub(super) field: String,
    /// The rule, the limit and what to do. Repeats nothing secret.
    pub(super) description: String,
    /// The reason of the refusal, unless it is INVALID_REQUEST.
    pub(super) reason: Option<ErrorReason>,
}

/// What is kept of the violations of one request: more than an answer has room for. The others are counted.
const KEPT_MAX: usize = 256;

/// Everything that is wrong with a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Violations {
    kept: Vec<Violation>,
    count: usize,
}

impl Violations {
    /// Adds one without a reason of its own.
    pub(super) fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.push(Violation { field: field.into(), description: description.into(), reason: None });
    }

    /// Adds one with a reason of its own.
    pub(super) fn add_for(&mut self, reason: ErrorReason, field: impl Into<String>, description: impl Into<String>) {
        self.push(Violation { field: field.into(), description: description.into(), reason: Some(reason) });
    }

    fn push(&mut self, violation: Violation) {
        self.count += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(violation);
        }
    }

    /// Has the fields of the violations from number `from` on begin with another name, which is made if there are any:
    /// what is `event.id` by itself is `events[3].id` in a list.
    pub(super) fn rename(&mut self, from: usize, name: &str, other: impl FnOnce() -> String) {
        let Some(renamed @ [_, ..]) = self.kept.get_mut(from..) else { return };
        let other = other();
        for violation in renamed {
            if let Some(rest) = violation.field.strip_prefix(name)
                && (rest.is_empty() || rest.starts_with('.'))
            {
                violation.field = format!("{other}{rest}");
            }
        }
    }

    /// Takes the value of a conversion, or notes what is wrong with it.
    pub(super) fn take<T, D: Into<String>>(&mut self, field: &str, result: Result<T, D>) -> Option<T> {
        result.map_err(|description| self.add(field, description)).ok()
    }

    /// How much is wrong so far.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Succeeds if nothing is wrong.
    pub(super) fn check(self) -> Result<(), super::error::Error> {
        if self.count == 0 { Ok(()) } else { Err(super::error::Error::Invalid(self)) }
    }

    /// The reason of the refusal: the first that is more than INVALID_REQUEST.
    pub(super) fn reason(&self) -> ErrorReason {
        self.kept.iter().find_map(|violation| violation.reason).unwrap_or(ErrorReason::InvalidRequest)
    }

    /// What is shown: all of them, or as many as fit into a status and how many more there are.
    pub(super) fn into_shown(self) -> Vec<(String, String)> {
        let count = self.count;
        let mut room = VIOLATION_BYTES_MAX;
        let mut shown = Vec::new();
        for (index, Violation { field, description, .. }) in self.kept.into_iter().enumerate() {
            let bytes = field.len() + description.len();
            let last_kept_of_more = index + 1 == KEPT_MAX && count > KEPT_MAX;
            if bytes > room || last_kept_of_more {
                let more = count - shown.len();
                shown.push((field, format!("and {more} violations from here on do not fit into this answer")));
                break;
            }
            room -= bytes;
            shown.push((field, description));
        }
        shown
    }
}

/// What is wrong with a text for people, if anything: UTF-8 (which the transport checks), without NUL, bounded.
pub(super) fn check_text(text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("must be at most {bytes_max} bytes; it has {}", text.len()));
    }
    if text.contains('\0') {
        return Err("must not contain NUL".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_the_first_of_its_own() {
        let mut violations = Violations::default();
        violations.add("a", "is wrong");
        assert_eq!(violations.reason(), ErrorReason::InvalidRequest);
        violations.add_for(ErrorReason::UrlPort, "b", "is wrong");
        violations.add_for(ErrorReason::UrlBlockedAddress, "c", "is wrong");
        assert_eq!(violations.reason(), ErrorReason::UrlPort);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut violations = Violations::default();
        for index in 0..1_000 {
            violations.add(format!("list[{index}]"), "is out of range");
        }
        let shown = violations.into_shown();
        let left_out = 1_000 - (shown.len() - 1);
        let (_, last) = shown.last().unwrap();
        assert!(last.contains(&format!("{left_out} violations")), "{last}");
        let bytes: usize = shown.iter().map(|(field, description)| field.len() + description.len()).sum();
        assert!(bytes <= VIOLATION_BYTES_MAX + 128, "{bytes}");
    }

    #[test]
    fn violations_without_number_cost_no_memory_without_bound() {
        let mut violations = Violations::default();
        for index in 0..100_000 {
            violations.add(format!("list[{index}]"), "");
        }
        assert_eq!((violations.len(), violations.kept.len()), (100_000, KEPT_MAX));
        let (_, last) = violations.into_shown().pop().unwrap();
        assert!(last.contains("99745 violations"), "{last}");
    }

    #[test]
    fn fields_are_renamed_from_a_place_on() {
        let mut violations = Violations::default();
        violations.add("event.id", "");
        violations.rename(1, "event", || panic!("there is nothing to be renamed"));
        for field in ["event.id", "event", "events", "tenant_id"] {
            violations.add(field, "");
        }
        violations.rename(1, "event", || "events[3]".to_owned());
        let fields: Vec<_> = violations.into_shown().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["event.id", "events[3].id", "events[3]", "events", "tenant_id"]);
    }
}
