//! Counting the attempts of each webhook, to fail the first few on purpose and to show repetitions.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

/// Webhooks remembered; beyond them the one that came first is forgotten and would be counted anew.
const REMEMBERED_MAX: usize = 10_000;

/// One attempt of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// From 1.
    pub(super) number: u32,
    /// It is to be answered with a failure.
    pub(super) fails: bool,
}

/// How often each webhook came.
pub(super) struct Attempts {
    fail_first: u32,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    counts: HashMap<String, u32>,
    order: VecDeque<String>,
}

impl Attempts {
    pub(super) fn new(fail_first: u32) -> Self {
        Self { fail_first, seen: Mutex::default() }
    }

    /// Counts one attempt of the webhook `id`.
    pub(super) fn count(&self, id: &str) -> Attempt {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let number = seen.count(id);
        Attempt { number, fails: number <= self.fail_first }
    }
}

impl Seen {
    fn count(&mut self, id: &str) -> u32 {
        if let Some(count) = self.counts.get_mut(id) {
            *count = count.saturating_add(1);
            return *count;
        }
        if self.order.len() == REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.counts.insert(id.to_owned(), 1);
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_webhook_fails_its_own_first_attempts() {
        let attempts = Attempts::new(2);
        let fails: Vec<_> = ["a", "b", "a", "a", "b"].map(|id| attempts.count(id).fails).to_vec();
        assert_eq!(fails, [true, true, true, false, true]);
        assert_eq!(attempts.count("a"), Attempt { number: 4, fails: false });
    }

    #[test]
    fn oldest_webhook_is_forgotten_first() {
        let attempts = Attempts::new(0);
        for n in 0..=REMEMBERED_MAX {
            attempts.count(&n.to_string());
        }
        assert_eq!(attempts.count("1").number, 2);
        assert_eq!(attempts.count("0").number, 1);
        assert_eq!(attempts.seen.lock().unwrap().counts.len(), REMEMBERED_MAX);
    }
}
