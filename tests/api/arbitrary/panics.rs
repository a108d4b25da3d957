//! Panics outside the tests themselves: in the server, which runs in this process, or in a library.

use std::sync::{Mutex, Once, PoisonError};

static RECORDED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

/// Records panics from now on, in all threads.
pub(super) fn record() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_a_test = panic.location().is_some_and(|place| place.file().starts_with("tests/"));
            if !of_a_test {
                RECORDED.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
            }
            before(panic);
        }));
    });
}

/// The panics so far.
pub(super) fn recorded() -> Vec<String> {
    RECORDED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
