//! One thing that a browser would fetch: with retries, and with redirects inside its origin.

use url::Url;

use crate::check::context::{AskError, Context};
use crate::http::{Answer, Client, Request};
use crate::outcome::Cause;
use crate::plan::Smoke;

/// Fetches from one canary.
#[derive(Clone, Copy)]
pub(super) struct Fetch<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) client: &'c Client,
    pub(super) smoke: &'c Smoke,
}

pub(super) struct Fetched {
    /// The last answer and what is good about it, or what is not.
    pub(super) result: Result<(Answer, String), AskError>,
    pub(super) attempts: u32,
}

impl Fetch<'_> {
    pub(super) async fn get(&self, url: &Url, judge: impl Fn(&Answer) -> Result<String, Cause>) -> Fetched {
        let attempt = async || {
            let answer = self.follow(url).await?;
            match judge(&answer) {
                Ok(seen) => Ok((answer, seen)),
                Err(cause) => Err(AskError::answer(&answer, cause)),
            }
        };
        let what = format!("GET {}", url.path());
        let (result, attempts) = self.context.attempt(&what, attempt).await;
        Fetched { result, attempts }
    }

    /// The answer at the end of the redirects.
    async fn follow(&self, url: &Url) -> Result<Answer, AskError> {
        let request = Request::get("");
        let mut url = url.clone();
        let permanent = |cause: String| Err(AskError::Permanent(cause.into()));
        for _ in 0..=self.smoke.max_redirects {
            let context = self.context;
            let answer = self.client.ask_url(&url, &request, context.policy.request, context.deadline).await?;
            let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            let Some(location) = answer.header("location").filter(|_| redirects) else {
                return Ok(answer);
            };
            let next = match url.join(&location) {
                Ok(next) => next,
                Err(error) => return permanent(format!("it redirects to {location:?}: {error}")),
            };
            if next.origin() != url.origin() {
                return permanent(format!("it redirects to another origin, {location:?}, which is not followed"));
            }
            url = next;
        }
        permanent(format!("it redirects over {} times, the last time to {}", self.smoke.max_redirects, url.path()))
    }
}
