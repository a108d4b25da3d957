//! Event types and the patterns that select them.
//!
//! A type is dot-separated segments. A pattern is a type in which `*` stands for one segment anywhere and `**`, at the
//! end only, for one or more; the pattern `*` by itself wants everything. Upper and lower case differ.

/// The longest event type and the longest pattern, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;

/// The most patterns one filter has.
pub const PATTERNS_MAX: usize = 100;

/// Whether `text` is an event type: segments of `[A-Za-z0-9_-]+` joined by dots, at most 128 bytes.
pub fn is_event_type(text: &str) -> bool {
    text.len() <= EVENT_TYPE_BYTES_MAX && text.split('.').all(is_segment)
}

/// Which event types are wanted. Empty wants everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TypeFilter {
    patterns: Vec<String>,
}

/// What is wrong with one pattern of a list.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct PatternError {
    /// Which pattern, from 0.
    pub index: usize,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl TypeFilter {
    /// Reads a list of at most 100 patterns; reports everything that is wrong with it. What is beyond the hundredth is
    /// not looked at but reported once, at index 100.
    pub fn parse(patterns: &[String]) -> Result<Self, Vec<PatternError>> {
        let mut errors = Vec::new();
        for (index, pattern) in patterns.iter().take(PATTERNS_MAX).enumerate() {
            if let Err(problem) = check_pattern(pattern) {
                errors.push(PatternError { index, problem: problem.to_owned() });
            } else if let Some(first) = patterns[..index].iter().position(|other| other == pattern) {
                errors.push(PatternError { index, problem: format!("repeats pattern {first}; leave it out") });
            }
        }
        if patterns.len() > PATTERNS_MAX {
            let problem = format!("is beyond the limit of {PATTERNS_MAX} patterns; {} were given", patterns.len());
            errors.push(PatternError { index: PATTERNS_MAX, problem });
        }
        if errors.is_empty() { Ok(Self { patterns: patterns.to_vec() }) } else { Err(errors) }
    }

    /// Whether the filter wants events of this type.
    pub fn matches(&self, event_type: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern_matches(pattern, event_type))
    }

    /// The patterns as they were given.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// The exact types wanted, if the filter is a non-empty list of exact types only: what an index can look up.
    pub fn exact_types(&self) -> Option<&[String]> {
        let exact = !self.patterns.is_empty() && self.patterns.iter().all(|pattern| !pattern.contains('*'));
        exact.then_some(&self.patterns)
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn check_pattern(pattern: &str) -> Result<(), &'static str> {
    if pattern.is_empty() {
        return Err("is empty; leave it out, or give an empty list to receive every type");
    }
    if pattern.len() > EVENT_TYPE_BYTES_MAX {
        return Err("is longer than 128 bytes");
    }
    let mut segments = pattern.split('.').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" => return Err("has an empty segment; join segments by single dots"),
            "*" => {}
            "**" if segments.peek().is_none() => {}
            "**" => return Err("has `**` before its end; use `*` for one segment"),
            _ if is_segment(segment) => {}
            _ if segment.contains('*') => return Err("has `*` inside a segment; it stands for a whole segment only"),
            _ => return Err("has characters outside A-Z a-z 0-9 _ - in a segment"),
        }
    }
    Ok(())
}

fn pattern_matches(pattern: &str, event_type: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let mut wanted = pattern.split('.');
    let mut given = event_type.split('.');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) | (Some("**"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(want), Some(have)) if want == have => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(patterns: &[&str]) -> TypeFilter {
        TypeFilter::parse(&owned(patterns)).unwrap()
    }

    fn owned(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|&pattern| pattern.to_owned()).collect()
    }

    fn wrong_indexes(patterns: &[String]) -> Vec<usize> {
        TypeFilter::parse(patterns).unwrap_err().into_iter().map(|error| error.index).collect()
    }

    #[test]
    fn event_types_are_segments_joined_by_dots() {
        for good in ["a", "user.created", "A-b_9.x", &"a".repeat(128)] {
            assert!(is_event_type(good), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "é", "a.*", "a\n", "a\0", "a/b", &"a".repeat(129)] {
            assert!(!is_event_type(bad), "{bad}");
        }
    }

    #[test]
    fn patterns_match_as_documented() {
        let cases = [
            ("user.created", "user.created", true),
            ("user.created", "User.created", false),
            ("user.created", "user", false),
            ("user.created", "user.created.x", false),
            ("user.*", "user.created", true),
            ("user.*", "user", false),
            ("user.*", "user.a.b", false),
            ("*.create", "user.create", true),
            ("*.create", "a.user.create", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.c", false),
            ("user.**", "user.a", true),
            ("user.**", "user.a.b.c", true),
            ("user.**", "user", false),
            ("*.**", "a", false),
            ("*.**", "a.b", true),
            ("**", "a", true),
            ("**", "a.b.c", true),
            ("*", "a", true),
            ("*", "a.b.c", true),
            ("*.*", "a", false),
        ];
        for (pattern, event_type, expected) in cases {
            assert_eq!(filter(&[pattern]).matches(event_type), expected, "{pattern} {event_type}");
        }
    }

    #[test]
    fn empty_list_wants_everything_and_any_pattern_is_enough() {
        assert!(TypeFilter::default().matches("a.b"));
        assert!(filter(&[]).matches("a.b"));
        assert!(filter(&["x", "a.*"]).matches("a.b"));
        assert!(!filter(&["x", "y"]).matches("a.b"));
    }

    #[test]
    fn every_wrong_pattern_is_reported_with_its_index() {
        let long = "a".repeat(129);
        let patterns = owned(&["ok", "", "a b", "**.a", "a*", "ok", "a..b", "***", "a.**", &long, "é"]);
        assert_eq!(wrong_indexes(&patterns), [1, 2, 3, 4, 5, 6, 7, 9, 10]);
    }

    #[test]
    fn more_than_a_hundred_patterns_are_refused() {
        let mut patterns: Vec<String> = (0..100).map(|number| format!("t{number}")).collect();
        assert!(TypeFilter::parse(&patterns).is_ok());
        patterns.push("one-more".to_owned());
        assert_eq!(wrong_indexes(&patterns), [100]);
    }

    #[test]
    fn only_lists_of_exact_types_can_be_looked_up() {
        assert_eq!(filter(&["a", "b.c"]).exact_types(), Some(&owned(&["a", "b.c"])[..]));
        assert_eq!(filter(&["a", "b.*"]).exact_types(), None);
        assert_eq!(filter(&[]).exact_types(), None);
    }

    proptest! {
        #[test]
        fn a_type_is_matched_by_itself_and_by_its_generalisations(
            segments in prop::collection::vec("[A-Za-z0-9_-]{1,8}", 1..8),
            star in any::<prop::sample::Index>(),
        ) {
            let event_type = segments.join(".");
            prop_assert!(is_event_type(&event_type));
            prop_assert!(filter(&[&event_type]).matches(&event_type));

            let star = star.index(segments.len());
            let mut general = segments.clone();
            general[star] = "*".to_owned();
            prop_assert!(filter(&[&general.join(".")]).matches(&event_type));

            let mut rest = segments[..star].to_vec();
            rest.push("**".to_owned());
            prop_assert!(filter(&[&rest.join(".")]).matches(&event_type));
            let longer = event_type.clone() + ".**";
            prop_assert!(!filter(&[&longer]).matches(&event_type));
        }

        #[test]
        fn any_text_is_read_without_a_panic(patterns in prop::collection::vec(".{0,20}", 0..5), text in ".{0,20}") {
            if let Ok(filter) = TypeFilter::parse(&patterns) {
                filter.matches(&text);
                prop_assert_eq!(filter.patterns(), &patterns[..]);
            }
        }
    }
}
