//! One thing that a browser would fetch: with retries, and with redirects inside its origin.

use url::Url;

use super::apart::apart;
use crate::check::context::{AskError, Context};
use crate::http::{Answer, Client, Request};
use crate::outcome::Cause;
use crate::plan::Smoke;
use crate::text;

/// Fetches from one canary.
#[derive(Clone, Copy)]
pub(super) struct Fetch<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) client: &'c Client,
    pub(super) smoke: &'c Smoke,
}

/// What came of it. The answer is judged and dropped: what is kept of it is what the judge made.
pub(super) struct Fetched<T> {
    pub(super) result: Result<T, AskError>,
    pub(super) attempts: u32,
}

/// Where the redirects end.
pub(super) enum End {
    Answer(Box<Answer>),
    /// At an address of another origin, which is not asked.
    Elsewhere(Url),
}

impl Fetch<'_> {
    /// Fetches and judges, as often as the cause of a failure may pass by itself.
    pub(super) async fn get<T>(&self, url: &Url, judge: impl AsyncFn(End) -> Result<T, AskError>) -> Fetched<T> {
        let attempt = async || judge(self.follow(url).await?).await;
        let what = format!("GET {}", url.path());
        let (result, attempts) = self.context.attempt(&what, attempt).await;
        Fetched { result, attempts }
    }

    /// Judges an answer apart from the thread of I/O.
    pub(super) async fn judge<T: Send + 'static>(
        &self,
        answer: Box<Answer>,
        judge: impl FnOnce(&Answer, &super::apart::Stop) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, AskError> {
        let judged = apart(answer.body.len(), self.context.deadline(), move |stop| {
            judge(&answer, stop).map_err(|cause| AskError::answer(&answer, cause))
        });
        judged.await.unwrap_or_else(|late| Err(AskError::Permanent(late.into())))
    }

    async fn follow(&self, url: &Url) -> Result<End, AskError> {
        let request = Request::get("");
        let mut url = url.clone();
        let permanent = |cause: String| Err(AskError::Permanent(cause.into()));
        for _ in 0..=self.smoke.max_redirects {
            let context = self.context;
            let answer = self.client.ask_url(&url, &request, context.policy.request, context.deadline()).await?;
            let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            let Some(location) = answer.header("location").filter(|_| redirects) else {
                return Ok(End::Answer(Box::new(answer)));
            };
            let next = match url.join(&location) {
                Ok(next) => next,
                Err(error) => {
                    return permanent(format!("it redirects to {:?}: {error}", text::shown_url(&location)));
                }
            };
            if next.origin() != url.origin() {
                return Ok(End::Elsewhere(next));
            }
            url = next;
        }
        permanent(format!("it redirects over {} times, the last time to {}", self.smoke.max_redirects, url.path()))
    }
}

/// A redirect to another origin, as a cause.
pub(super) fn elsewhere(to: &Url) -> Cause {
    let to = text::shown_url(to.as_str());
    let to = text::cut(&to, 200);
    format!("it redirects to another origin, {to:?}, which is not followed").into()
}
