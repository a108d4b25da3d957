//! Crash points and panic points: named places at which a test makes the process kill itself, or a task panic.
//!
//! `CRASH_AT=name:n` aborts at the n-th passage of that place, `PANIC_AT=name:n` panics there. Without the feature `faults`
//! the macros are nothing.

/// A place at which a test may make the process end.
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "faults")]
        $crate::faults::pass($name);
    };
}

/// A place at which a test may make the task panic.
macro_rules! panic_point {
    ($name:literal) => {
        #[cfg(feature = "faults")]
        $crate::faults::pass_or_panic($name);
    };
}

pub(crate) use {crash_point, panic_point};

#[cfg(feature = "faults")]
pub(crate) use self::points::{pass, pass_or_panic};

#[cfg(feature = "faults")]
mod points {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static CRASH: LazyLock<Option<Point>> = LazyLock::new(|| Point::read("CRASH_AT"));
    static PANIC: LazyLock<Option<Point>> = LazyLock::new(|| Point::read("PANIC_AT"));

    /// One passage of one place.
    struct Point {
        name: String,
        passage: u64,
        passages: AtomicU64,
    }

    impl Point {
        fn read(variable: &str) -> Option<Self> {
            let target = std::env::var_os(variable)?.into_string().ok()?;
            let (name, passage) = target.rsplit_once(':')?;
            Some(Self { name: name.to_owned(), passage: passage.parse().ok()?, passages: AtomicU64::new(0) })
        }

        /// Counts a passage of the place `name`, and tells whether it is the one.
        fn is_now(&self, name: &str) -> bool {
            self.name == name && self.passages.fetch_add(1, Ordering::SeqCst) + 1 == self.passage
        }
    }

    pub(crate) fn pass(name: &str) {
        if CRASH.as_ref().is_some_and(|point| point.is_now(name)) {
            std::process::abort();
        }
    }

    pub(crate) fn pass_or_panic(name: &str) {
        assert!(!PANIC.as_ref().is_some_and(|point| point.is_now(name)), "a test wants a panic at {name}");
    }
}
