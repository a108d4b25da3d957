//! Crash points: named places at which a test makes the process kill itself.
//!
//! `CRASH_AT=name:n` aborts at the n-th passage of that place. Without the feature `faults` the macro is nothing.

/// A place at which a test may make the process end.
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "faults")]
        $crate::faults::pass($name);
    };
}

pub(crate) use crash_point;

#[cfg(feature = "faults")]
pub(crate) fn pass(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static TARGET: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let target = std::env::var_os("CRASH_AT")?.into_string().ok()?;
        let (name, passages) = target.rsplit_once(':')?;
        Some((name.to_owned(), passages.parse().ok()?))
    });
    static PASSAGES: AtomicU64 = AtomicU64::new(0);

    if let Some((target, passages)) = &*TARGET
        && target == name
        && PASSAGES.fetch_add(1, Ordering::SeqCst) + 1 == *passages
    {
        std::process::abort();
    }
}
