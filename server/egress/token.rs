//! Access tokens that are there or on their way: one for each client, fetched by one at a time.
//!
//! A token is fetched in a task of its own, so that it comes although the attempt that asked first has run out of time.
//! Whoever wants it meanwhile waits for the same one, and so does whoever comes after a fetch that failed, for a moment:
//! a token endpoint that is down is not asked by every attempt.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    failure::Failure,
    grant::{FETCH_TIMEOUT, Token},
    recent::{Key, Recent},
};
use crate::model::FailureKind;
use futures_util::{FutureExt as _, future::BoxFuture, future::Shared};

/// Tokens kept.
const TOKENS_MAX: usize = 4_096;
/// For how long after it began a fetch that failed is everybody's.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

type Fetched = Result<Arc<Token>, Failure>;

/// A fetch, and once it has ended what came of it.
struct Slot {
    begun: Instant,
    fetch: Shared<BoxFuture<'static, Fetched>>,
}

/// All tokens, by digests of what they are for.
pub(super) struct Tokens(Mutex<Recent<Slot>>);

impl Default for Tokens {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(TOKENS_MAX)))
    }
}

impl Tokens {
    /// The token of `key`: one that is there, or the one that `fetch` brings.
    pub(super) async fn get<F>(&self, key: Key, fetch: impl FnOnce() -> F) -> Fetched
    where
        F: Future<Output = Result<Token, Failure>> + Send + 'static,
    {
        let waiting = self.waiting(key, Instant::now(), fetch);
        waiting.await
    }

    fn waiting<F>(&self, key: Key, now: Instant, fetch: impl FnOnce() -> F) -> Shared<BoxFuture<'static, Fetched>>
    where
        F: Future<Output = Result<Token, Failure>> + Send + 'static,
    {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&key).filter(|slot| slot.serves(now)) {
            return slot.fetch.clone();
        }
        let task = tokio::spawn(fetch());
        let lost = |_| Err(Failure::new(FailureKind::Authorization, "no access token: fetching it was abandoned"));
        let fetch = async move { task.await.unwrap_or_else(lost).map(Arc::new) }.boxed().shared();
        slots.insert(key, Slot { begun: now, fetch: fetch.clone() });
        fetch
    }

    /// A token was refused: the next to want one gets another, unless there is another already.
    pub(super) fn forget(&self, key: &Key, refused: &Arc<Token>) {
        let mut slots = self.slots();
        let present = slots.get(key).and_then(|slot| slot.fetch.peek());
        if present.is_some_and(|present| present.as_ref().is_ok_and(|token| Arc::ptr_eq(token, refused))) {
            slots.remove(key);
        }
    }

    /// Held for bookkeeping only, never across an await.
    fn slots(&self) -> MutexGuard<'_, Recent<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether to wait for this fetch, or take what came of it.
    fn serves(&self, now: Instant) -> bool {
        match self.fetch.peek() {
            Some(Ok(token)) => now < token.good_until,
            Some(Err(_)) => now < self.begun + FAILURE_KEPT,
            // Under way; or it ended when nobody waited for it any more, and nobody knows what came of it.
            None => now < self.begun + FETCH_TIMEOUT,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::HeaderValue;
    use tokio::sync::Notify;

    use super::*;

    const KEY: Key = [1; 32];
    const HOUR: Duration = Duration::from_secs(3600);

    /// Tokens by their numbers, fetched when it is told so.
    #[derive(Clone, Default)]
    struct Source(Arc<(AtomicU32, Notify)>);

    impl Source {
        async fn token(self, lifetime: Duration) -> Result<Token, Failure> {
            let number = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(Token { header: HeaderValue::from(number), good_until: Instant::now() + lifetime })
        }

        async fn later(self) -> Result<Token, Failure> {
            self.0.1.notified().await;
            self.token(HOUR).await
        }

        async fn failing(self) -> Result<Token, Failure> {
            self.0.0.fetch_add(1, Ordering::SeqCst);
            Err(Failure::new(FailureKind::Authorization, "no"))
        }

        fn count(&self) -> u32 {
            self.0.0.load(Ordering::SeqCst)
        }
    }

    fn number(fetched: &Fetched) -> String {
        fetched
            .as_ref()
            .map_or_else(|failure| failure.detail.clone(), |token| token.header.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn token_is_fetched_once_until_shortly_before_its_end() {
        let (tokens, source) = (Tokens::default(), Source::default());
        let get = |now| tokens.waiting(KEY, now, || source.clone().token(HOUR));
        let begun = Instant::now();
        assert_eq!(number(&get(begun).await), "1");
        assert_eq!(number(&get(begun + HOUR - Duration::from_secs(1)).await), "1");
        assert_eq!(number(&get(begun + 2 * HOUR).await), "2");
        let other = tokens.get([2; 32], || source.clone().token(HOUR)).await;
        assert_eq!(number(&other), "3");
    }

    #[tokio::test]
    async fn who_asks_meanwhile_waits_for_the_same_fetch() {
        let (tokens, source) = (Tokens::default(), Source::default());
        let waiting: Vec<_> = (0..8).map(|_| tokens.waiting(KEY, Instant::now(), || source.clone().later())).collect();
        source.0.1.notify_one();
        for waiting in waiting {
            assert_eq!(number(&waiting.await), "1");
        }
        assert_eq!(source.count(), 1);
    }

    #[tokio::test]
    async fn fetch_goes_on_although_who_asked_has_gone() {
        let (tokens, source) = (Tokens::default(), Source::default());
        drop(tokens.waiting(KEY, Instant::now(), || source.clone().later()));
        source.0.1.notify_one();
        assert_eq!(number(&tokens.get(KEY, || source.clone().failing()).await), "1");
    }

    #[tokio::test]
    async fn failure_is_everybodys_for_a_moment() {
        let (tokens, source) = (Tokens::default(), Source::default());
        let begun = Instant::now();
        for _ in 0..5 {
            assert_eq!(number(&tokens.waiting(KEY, begun, || source.clone().failing()).await), "no");
        }
        assert_eq!(source.count(), 1);
        let later = tokens.waiting(KEY, begun + FAILURE_KEPT, || source.clone().token(HOUR));
        assert_eq!(number(&later.await), "2");
    }

    #[tokio::test]
    async fn refused_token_is_forgotten_but_not_the_one_after_it() {
        let (tokens, source) = (Tokens::default(), Source::default());
        let get = || tokens.get(KEY, || source.clone().token(HOUR));
        let first = get().await.ok().unwrap();
        tokens.forget(&KEY, &first);
        assert_eq!(number(&get().await), "2");
        tokens.forget(&KEY, &first);
        assert_eq!(number(&get().await), "2");
    }
}
