//! One request and what must come back: `health`, `readiness`, and the HTTP checks that a checks file adds.

use super::context::{AskError, Context, Finding};
use super::expect::judge;
use super::smoke::markup;
use crate::http::{Answer, Client};
use crate::outcome::Cause;
use crate::plan::HttpCheck;

pub(super) async fn check(context: &Context<'_>, client: &Client, check: &HttpCheck) -> Finding {
    let request = &check.request;
    let attempt = async || {
        let asked = match context.ask(client, request).await {
            Ok(answer) => {
                let judged = judge(&check.expect, &answer).and_then(|seen| no_page(check, &answer).map(|()| seen));
                judged.map_err(|cause| AskError::answer(&answer, cause))
            }
            Err(failure) => Err(failure.into()),
        };
        asked.map_err(|error| if check.retry_everything { error.transient() } else { error })
    };
    let what = client.shown(request);
    let (result, attempts) = context.attempt(&what, attempt).await;
    Finding::of_request(&what, result, attempts)
}

/// Refuses a page in place of what a service says of itself.
fn no_page(check: &HttpCheck, answer: &Answer) -> Result<(), Cause> {
    let is_html = answer.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
    let page = markup(&answer.body).filter(|_| is_html && !check.takes_page);
    page.map_or(Ok(()), |page| {
        let text = format!(
            "{}, but the answer is {page}, as a front end gives for a path that is missing; where a page is meant, say in expect.body what \
             it holds",
            answer.status
        );
        Err(Cause::wanting(text, "an answer of the service", page))
    })
}
