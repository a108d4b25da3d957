//! Event types and the patterns that select them.

/// Whether `text` is an event type: segments of `[A-Za-z0-9_-]+` joined by dots, at most 128 bytes.
pub fn is_event_type(text: &str) -> bool {
    let _ = text;
    todo!()
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
    /// Reads a list of at most 100 patterns; reports everything that is wrong with it.
    pub fn parse(patterns: &[String]) -> Result<Self, Vec<PatternError>> {
        let _ = patterns;
        todo!()
    }

    /// Whether the filter wants events of this type.
    pub fn matches(&self, event_type: &str) -> bool {
        let _ = event_type;
        todo!()
    }

    /// The patterns as they were given.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// The exact types wanted, if the filter is a non-empty list of exact types only: what an index can look up.
    pub fn exact_types(&self) -> Option<&[String]> {
        todo!()
    }
}
