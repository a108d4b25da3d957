//! One guarded, bounded exchange over a client that is given.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use reqwest::Method;

use super::{Post, answer::Answer, failure::Failure, guard::UrlGuard, phase::Progress};
use crate::model::Outcome;

/// A client, and the guard of what it is asked for.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) client: reqwest::Client,
    pub(super) urls: Arc<UrlGuard>,
}

impl Line {
    /// Makes one exchange. What went wrong is in the outcome.
    ///
    /// A 2xx is a success once its body has ended or as much of it was read as is. A body that does not end in time is a
    /// timeout, and one that breaks off a lost connection; the status is recorded with both.
    /// Its time began at `begun`.
    pub(super) async fn post(&self, post: Post, begun: Instant) -> Outcome {
        let (mut answer, progress, timeout) = (Answer::default(), Progress::default(), post.timeout);
        let exchanging = progress.of(self.exchange(post, &mut answer));
        let left = timeout.saturating_sub(begun.elapsed());
        let failure = match tokio::time::timeout(left, exchanging).await {
            Ok(result) => result.err(),
            Err(_elapsed) => Some(answer.timed_out(progress.phase(), timeout)),
        };
        answer.into_outcome(failure, begun.elapsed())
    }

    async fn exchange(&self, post: Post, answer: &mut Answer) -> Result<(), Failure> {
        self.urls.check(&post.url).map_err(|blocked| Failure::blocked(&blocked))?;
        let Post { url, headers, body, timeout: _ } = post;
        let mut request = reqwest::Request::new(Method::POST, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        let mut response = self.client.execute(request).await.map_err(|error| Failure::of(&error))?;
        answer.begin(&response, SystemTime::now());
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.take(&chunk) => {}
                // Returning drops the response, and with it a connection that has more to say.
                Ok(_) => return Ok(()),
                Err(error) if answer.is_whole_despite(&error) => return Ok(()),
                Err(error) => return Err(Failure::of(&error)),
            }
        }
    }
}
